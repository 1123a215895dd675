use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, PgConnection};

use crate::apply::Version;
use crate::log;
use crate::retire::{self, Retention};

/// Partitions exist for this long ahead, so that a new one is never waited for.
pub(crate) const AHEAD: TimeDelta = TimeDelta::days(93);
/// How often that is looked after.
const EVERY: TimeDelta = TimeDelta::hours(1);
/// How soon again where a long query stood in the way: each attempt holds up new readers for its lock_timeout.
const AGAIN: TimeDelta = TimeDelta::minutes(1);
/// A request that ended this month may have begun in the one before.
pub(crate) const BEFORE: TimeDelta = TimeDelta::days(1);

/// Keeps partitions of coming months in stock, and drops those that are not kept any more.
pub(super) struct Months {
    retention: Retention,
    due: Option<DateTime<Utc>>,
}

impl Months {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, due: None }
    }

    /// Adds what is missing and drops what is over, once an hour.
    pub(super) async fn keep_ahead(
        &mut self,
        connection: &mut PgConnection,
        version: &mut Version,
    ) -> Result<(), sqlx::Error> {
        let now = Utc::now();
        if self.due.is_some_and(|due| now < due) {
            return Ok(());
        }
        // After a long absence, what is to be read next is older than now.
        let next = log::recorded_at(connection, version.position + 1).await?.unwrap_or(now);
        match ensure(connection, version.version, next.min(now) - BEFORE, now + AHEAD).await {
            Ok(0) => {}
            Ok(added) => tracing::info!(added, "partitions for coming months"),
            // Rows of a month without a partition go to the default one; months are added long before.
            Err(error) if is_lock_timeout(&error) => {
                tracing::warn!("partitions for coming months must wait for a long query");
                self.due = Some(now + AGAIN);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let retired = retire::by_age(connection, version, self.retention, now).await?;
        if !retired {
            tracing::warn!("months that are over must wait for a long query");
        }
        self.due = Some(now + if retired { EVERY } else { AGAIN });
        Ok(())
    }
}

async fn ensure(
    connection: &mut PgConnection,
    version: i32,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<i32, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("set local lock_timeout = '300ms'").execute(&mut *transaction).await?;
    let added = sqlx::query_scalar!(r#"select projector.ensure_months($1, $2, $3) as "added!""#, version, since, until)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(added)
}

/// Whether a lock was not to be had in time.
pub(crate) fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}
