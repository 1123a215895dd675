use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// An event as it lies in the log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place in the one order.
    pub position: i64,
    /// When the ledger appended it.
    pub recorded_at: DateTime<Utc>,
    /// Its own bytes.
    pub event: Vec<u8>,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Positions have no gaps; this one is missing.
    #[error("the log has no event at position {0}, and has later ones")]
    Gap(i64),
    /// The thread that decodes has ended.
    #[error("events could not be decoded: the thread has ended")]
    Decoding,
}

/// The events after a position, in order, at most so many, and none after `through`.
///
/// # Errors
/// When the database fails, or a position is missing.
pub async fn read(
    connection: &mut PgConnection,
    after: i64,
    through: i64,
    at_most: i64,
) -> Result<Vec<Logged>, ReadError> {
    let events = sqlx::query_as!(
        Logged,
        "select position, recorded_at, event from ledger.events where position > $1 and position <= $2 order by position limit $3",
        after,
        through,
        at_most,
    )
    .fetch_all(connection)
    .await?;
    match events.iter().zip(after + 1..).find(|(event, expected)| event.position != *expected) {
        Some((_, missing)) => Err(ReadError::Gap(missing)),
        None => Ok(events),
    }
}

/// The position of the last event.
///
/// # Errors
/// When the database fails.
pub async fn head(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("select position from ledger.head").fetch_one(connection).await
}

/// When the event at a position was appended.
///
/// # Errors
/// When the database fails.
pub async fn recorded_at(connection: &mut PgConnection, position: i64) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!("select recorded_at from ledger.events where position = $1", position)
        .fetch_optional(connection)
        .await
}
