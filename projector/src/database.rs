use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tracing::log::LevelFilter;

/// Statements that take longer are worth a line in the log.
const SLOW: Duration = Duration::from_secs(2);

/// How to connect as the projector.
///
/// # Errors
/// When the URL is none.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?
        .application_name("projector")
        // Each statement looks up rows by key. A plan made while a table is small (the first batches of a rebuild) must not
        // read all of it for ever after.
        .options([
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
            ("enable_seqscan", "off"),
            ("jit", "off"),
            // A projector that is cut off must not hold the checkpoint's lock.
            ("idle_in_transaction_session_timeout", "60s"),
        ])
        .log_slow_statements(LevelFilter::Warn, SLOW))
}

/// A connection as the projector.
///
/// # Errors
/// When the database cannot be reached.
pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect_with(options).await
}

/// Whether the migrations of the read models are there. The ledger runs them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_migrated(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select to_regclass('ledger.events') is not null and to_regclass('public.latency_daily') is not null and exists (
               select from pg_attribute where attrelid = to_regclass('projector.projection') and attname = 'program'
           ) as "there!""#
    )
    .fetch_one(connection)
    .await
}

/// Takes a lock that lasts as long as the connection; false if another has it.
pub(crate) async fn try_lock(connection: &mut PgConnection, lock: Lock) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_lock($1, $2) as "locked!""#, LOCKS, lock as i32)
        .fetch_one(connection)
        .await
}

/// "Layers" in the first key keeps these apart from other programs' advisory locks.
const LOCKS: i32 = 0x4c_61_79_72;

/// There is one of each at a time. Locks are for order; what keeps the rows right is the checkpoint's condition.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lock {
    /// The follower that is active.
    Follower = 1,
    /// A rebuild.
    Rebuild = 2,
}

/// Gives a lock back before the connection ends.
pub(crate) async fn unlock(connection: &mut PgConnection, lock: Lock) -> Result<(), sqlx::Error> {
    sqlx::query!("select pg_advisory_unlock($1, $2)", LOCKS, lock as i32).fetch_one(connection).await?;
    Ok(())
}
