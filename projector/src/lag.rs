use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::apply::PROJECTION;

/// How far behind the live read models are.
#[derive(Clone, Debug, Serialize)]
pub struct Lag {
    /// The version that queries see.
    pub version: i32,
    /// The last event whose rows are there.
    pub position: i64,
    /// The last event in the log.
    pub head: i64,
    /// When the ledger appended the first event that is not there yet.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// Events that were passed over.
    pub quarantined: i64,
}

impl Lag {
    /// Events that wait.
    pub fn events(&self) -> i64 {
        (self.head - self.position).max(0)
    }

    /// How long the oldest of them has waited.
    pub fn seconds(&self, now: DateTime<Utc>) -> f64 {
        self.oldest_waiting.map_or(0.0, |since| ((now - since).num_milliseconds().max(0) as f64) / 1000.0)
    }
}

/// Asks the database; `None` where no version is live.
///
/// # Errors
/// When the database fails.
pub async fn read(connection: &mut PgConnection) -> Result<Option<Lag>, sqlx::Error> {
    sqlx::query_as!(
        Lag,
        r#"select p.version, p.position, h.position as head,
            (select e.recorded_at from ledger.events e where e.position = p.position + 1) as oldest_waiting,
            (select count(*) from projector.projection_quarantine q where q.version = p.version) as "quarantined!"
           from projector.projection p cross join ledger.head h
           where p.name = $1 and p.live"#,
        PROJECTION
    )
    .fetch_optional(connection)
    .await
}
