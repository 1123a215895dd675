//! Months that are not kept any more: their partitions are dropped, in every version alike. What was summed up of them stays.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{Connection, PgConnection};

use crate::apply::Version;
use crate::follow::months::is_lock_timeout;
use crate::kept::{self, Kept};

/// How many months are kept: the one that runs, and so many before it.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Of requests (`usage_logs`); all without a number.
    pub requests: Option<u32>,
    /// Of hours (`usage_hourly`); all without a number.
    pub hours: Option<u32>,
}

/// Hours are almost as many as requests, and soon of no interest: the month that runs and the one before.
pub const HOURS_KEPT: u32 = 1;

impl Default for Retention {
    fn default() -> Self {
        Self { requests: None, hours: Some(HOURS_KEPT) }
    }
}

impl Retention {
    /// From when on that is kept, at a time. What was retired does not come back, so it is never before what is kept now.
    fn kept(self, now: DateTime<Utc>, before: Kept) -> Kept {
        let since = |months: Option<u32>| {
            let first = now.date_naive().with_day(1)?.checked_sub_months(Months::new(months?))?;
            Some(midnight(first))
        };
        Kept {
            requests: since(self.requests).unwrap_or(before.requests).max(before.requests),
            hours: since(self.hours).unwrap_or(before.hours).max(before.hours),
        }
    }
}

/// Drops what is not kept any more at a time. False where a long query stands in the way: then later.
///
/// # Errors
/// When the database fails.
pub(crate) async fn by_age(
    connection: &mut PgConnection,
    version: &mut Version,
    retention: Retention,
    now: DateTime<Utc>,
) -> Result<bool, sqlx::Error> {
    let kept = retention.kept(now, version.kept);
    to(connection, version, kept).await
}

/// Drops in a version what another one has dropped, so that the two have the same rows.
///
/// # Errors
/// When the database fails.
pub(crate) async fn as_in(
    connection: &mut PgConnection,
    version: &mut Version,
    other: i32,
) -> Result<bool, sqlx::Error> {
    let kept = kept::load(connection, other).await?;
    to(connection, version, kept).await
}

async fn to(connection: &mut PgConnection, version: &mut Version, kept: Kept) -> Result<bool, sqlx::Error> {
    if kept == version.kept {
        return Ok(true);
    }
    let mut transaction = connection.begin().await?;
    sqlx::query!("set local lock_timeout = '300ms'").execute(&mut *transaction).await?;
    for (table, before, since) in
        [("requests", version.kept.requests, kept.requests), ("usage_hourly", version.kept.hours, kept.hours)]
    {
        if since == before {
            continue;
        }
        let dropped = sqlx::query_scalar!(
            r#"select projector.retire_months($1, $2, $3) as "dropped!""#,
            version.version,
            table,
            since
        )
        .fetch_one(&mut *transaction)
        .await;
        match dropped {
            Ok(dropped) => tracing::info!(version = version.version, table, %since, dropped, "months are retired"),
            Err(error) if is_lock_timeout(&error) => {
                transaction.rollback().await?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
    }
    transaction.commit().await?;
    version.kept = kept;
    Ok(true)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    #[test]
    fn the_month_that_runs_is_kept_and_so_many_before_it() {
        let retention = Retention { requests: Some(2), hours: Some(0) };
        let kept = retention.kept(at("2026-01-31T23:59:59Z"), Kept::default());
        assert_eq!(kept, Kept { requests: at("2025-11-01T00:00:00Z"), hours: at("2026-01-01T00:00:00Z") });
        // Longer from now on: what is gone is gone.
        let longer = Retention { requests: None, hours: Some(12) };
        assert_eq!(longer.kept(at("2026-02-01T00:00:00Z"), kept), kept);
    }
}
