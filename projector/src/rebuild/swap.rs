use sqlx::{Connection, PgConnection};

use crate::apply::{ApplyError, OnPoison, PROJECTION, Version};
use crate::log;
use crate::page::Page;

/// Events that are applied while the follower waits: well under a second's work. With more to do, it is done before.
pub(super) const TAIL: i64 = 5_000;

/// What came of an attempt.
pub(super) enum Swap {
    /// Queries see the new version.
    Done { replaced: Option<i32> },
    /// Too much came meanwhile.
    TooFarBehind,
}

/// Makes the version live, in one transaction. The lock on the live checkpoint is the one that each of the follower's batches
/// takes, so the follower waits, then finds that its version is not live any more.
pub(super) async fn attempt(connection: &mut PgConnection, version: &mut Version) -> Result<Swap, ApplyError> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("set local synchronous_commit = on").execute(&mut *transaction).await?;
    let live = sqlx::query!(
        "select version, position from projector.projection where name = $1 and live for update",
        PROJECTION
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if let Some(live) = &live {
        if live.position - version.position > TAIL {
            return Ok(Swap::TooFarBehind);
        }
        let tail = log::read(&mut transaction, version.position, live.position, TAIL).await?;
        version.apply_in(&mut transaction, &Page::of(tail), OnPoison::Stop).await?;
        sqlx::query!(
            "update projector.projection set live = false where name = $1 and version = $2",
            PROJECTION,
            live.version
        )
        .execute(&mut *transaction)
        .await?;
    }
    sqlx::query!(
        "update projector.projection set live = true, program = null where name = $1 and version = $2",
        PROJECTION,
        version.version
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    version.live = true;
    Ok(Swap::Done { replaced: live.map(|live| live.version) })
}
