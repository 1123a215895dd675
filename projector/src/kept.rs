use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// From when on a version keeps rows that are split by month. Sums by day and month, balances and the journal are kept for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Requests that were made before have no row.
    pub requests: DateTime<Utc>,
    /// Hours before are not summed up.
    pub hours: DateTime<Utc>,
}

/// Everything.
impl Default for Kept {
    fn default() -> Self {
        Self { requests: DateTime::<Utc>::MIN_UTC, hours: DateTime::<Utc>::MIN_UTC }
    }
}

/// What a version keeps.
pub(crate) async fn load(connection: &mut PgConnection, version: i32) -> Result<Kept, sqlx::Error> {
    let rows = sqlx::query!("select table_name, since from projector.kept_months where version = $1", version)
        .fetch_all(connection)
        .await?;
    let mut kept = Kept::default();
    for row in rows {
        match row.table_name.as_str() {
            "requests" => kept.requests = row.since,
            "usage_hourly" => kept.hours = row.since,
            _ => {}
        }
    }
    Ok(kept)
}
