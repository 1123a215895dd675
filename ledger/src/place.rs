use std::str::FromStr;

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// A place in the log, as people name it: a position, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After the event at this position.
    Position(u64),
    /// After all events that were recorded up to this time.
    Time(DateTime<Utc>),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        let time = DateTime::parse_from_rfc3339(text);
        time.map(|time| Self::Time(time.to_utc()))
            .map_err(|_| "expected a position, or a time such as 2026-11-30T23:59:59Z")
    }
}

/// Where the log ends, and when its last event was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Reached {
    pub position: u64,
    pub recorded_at: Option<DateTime<Utc>>,
}

/// The last event up to a place; up to the log's end without one.
pub async fn reached(db: &mut PgConnection, place: Option<Place>) -> Result<Reached> {
    let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(&mut *db).await?;
    let position = match place {
        None => head,
        Some(Place::Position(position)) if position > head as u64 => {
            bail!("the log ends at position {head}, before {position}")
        }
        Some(Place::Position(position)) => position as i64,
        // What may still come is not there yet.
        Some(Place::Time(time)) => position_at(db, time).await?.unwrap_or(head),
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
