use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::range::Mark;

/// Where the log ends, and when its last event was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reached {
    pub position: u64,
    pub recorded_at: Option<DateTime<Utc>>,
}

/// The last event up to a mark; up to the log's end without one.
pub async fn reached(db: &mut PgConnection, mark: Option<Mark>) -> Result<Reached> {
    let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(&mut *db).await?;
    let position = match mark {
        None => head,
        Some(Mark::Position(position)) if position > head as u64 => {
            bail!("the log ends at position {head}, before {position}")
        }
        Some(Mark::Position(position)) => position as i64,
        // What may still come is not there yet.
        Some(Mark::Time(time)) => position_at(db, time).await?.unwrap_or(head),
    };
    let recorded_at = sqlx::query_scalar!("select recorded_at from ledger.events where position = $1", position)
        .fetch_optional(db)
        .await?;
    Ok(Reached { position: position as u64, recorded_at })
}

/// The last event that was recorded up to a time; `None` as long as that may still change.
pub async fn position_at(db: &mut PgConnection, time: DateTime<Utc>) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select public.position_at($1)", time).fetch_one(db).await
}
