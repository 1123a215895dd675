use sqlx::{Connection, PgConnection};

use super::swap::TAIL;
use crate::apply::{ApplyError, OnPoison, PROJECTION, Version};
use crate::log;
use crate::page::Page;

/// What became of one table of the live version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It has the rebuilt rows: so many were wrong, and so many came in their place or were missing.
    Done { removed: i64, added: i64 },
    /// Too much came meanwhile.
    TooFarBehind,
}

/// Makes the rows of one table of the live version those of the rebuilt one, in one transaction, at one position. The follower
/// waits, as at a swap, for as long as it takes to compare the rows; then it finds that rows were replaced beside it.
pub(super) async fn attempt(
    connection: &mut PgConnection,
    version: &mut Version,
    table: &str,
) -> Result<Option<Replaced>, ApplyError> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("set local synchronous_commit = on").execute(&mut *transaction).await?;
    let live = sqlx::query!(
        "select version, position from projector.projection where name = $1 and live for update",
        PROJECTION
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(live) = live else { return Ok(None) };
    if live.position - version.position > TAIL {
        return Ok(Some(Replaced::TooFarBehind));
    }
    let tail = log::read(&mut transaction, version.position, live.position, TAIL).await?;
    version.apply_in(&mut transaction, &Page::of(tail), OnPoison::Stop).await?;
    if version.position != live.position {
        // Another version went live that is behind this one.
        return Err(ApplyError::Moved);
    }
    let rows = sqlx::query!(
        r#"select removed as "removed!", added as "added!" from projector.replace_rows($1, $2, $3)"#,
        table,
        live.version,
        version.version
    )
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query!(
        "update projector.projection set repairs = repairs + 1, history_from = case when $3 = 'journal' then 1 else history_from end
         where name = $1 and version = $2",
        PROJECTION,
        live.version,
        table
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(Replaced::Done { removed: rows.removed, added: rows.added }))
}
