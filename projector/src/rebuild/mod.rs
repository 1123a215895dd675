//! Builds a new version of the read models beside the live one and swaps them:
//!
//! | phase | what | who waits |
//! |---|---|---|
//! | sweep | versions that a killed rebuild left are dropped | |
//! | build | all events from the first one, up to where the live version is | |
//! | compare | counts and checksums of both versions at one position, in one snapshot | |
//! | swap | the last few events, and one row that says which version is live | the follower, for a moment |
//! | go on | the rest of the log, where no follower is active | |
//! | drop | the old version's partitions, once nobody reads them | nobody longer than `drop::PATIENCE` |
//!
//! Readers meet no lock and no empty table: a statement sees the old version or the new one, as a whole.

mod compare;
mod drop;
mod swap;

use std::time::{Duration, Instant};

use chrono::Utc;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;

pub use compare::{Comparison, TableComparison};

use crate::apply::{ApplyError, OnPoison, PROJECTION, Version};
use crate::database::{self, Lock};
use crate::follow::months;
use crate::{lag, log};

/// Events a transaction. Nobody waits for these rows, so fewer and larger ones than the follower's.
const BATCH: i64 = 10_000;

/// What a rebuild did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version that is live now.
    pub version: i32,
    /// The version that was live before.
    pub replaced: Option<i32>,
    /// The last event whose rows are there.
    pub position: i64,
    /// How long it took.
    pub seconds: f64,
    /// Events a second while building.
    pub events_per_second: f64,
    /// How the two versions differed; absent where there was nothing to compare with.
    pub comparison: Option<Comparison>,
    /// Whether the old version is gone already; the next rebuild drops it otherwise.
    pub dropped: bool,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Events applied, of so many, since so long.
    Building {
        /// The last event whose rows are there.
        position: i64,
        /// Where this phase ends.
        target: i64,
        /// Since it began.
        elapsed: Duration,
    },
    /// Counting and comparing.
    Comparing,
    /// Going live.
    Swapping,
    /// Dropping the old version.
    Dropping,
}

/// Why a rebuild stopped. The live version is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// One at a time.
    #[error("another rebuild is running")]
    AlreadyRunning,
    /// The ledger runs the migrations.
    #[error("the tables are not there yet: the ledger runs the migrations")]
    NotMigrated,
    /// An event could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Rebuilds all read models from the first event on.
///
/// # Errors
/// Queries then see what they saw before, unless the error came after the swap; half a version is dropped.
pub async fn rebuild(options: &PgConnectOptions, mut tell: impl FnMut(Progress)) -> Result<Report, RebuildError> {
    let begin = Instant::now();
    // What is built is worth nothing before the swap, which is written through.
    let options = options.clone().options([("synchronous_commit", "off")]);
    let connection = &mut database::connect(&options).await?;
    if !database::is_migrated(connection).await? {
        return Err(RebuildError::NotMigrated);
    }
    if !database::try_lock(connection, Lock::Rebuild).await? {
        return Err(RebuildError::AlreadyRunning);
    }
    let report = locked(connection, begin, &mut tell).await;
    // Given back here and not with the connection, whose end the server notices a moment later. After an error the
    // connection may be gone, and the lock with it.
    let unlocked = database::unlock(connection, Lock::Rebuild).await;
    let report = report?;
    unlocked?;
    Ok(report)
}

async fn locked(
    connection: &mut PgConnection,
    begin: Instant,
    tell: &mut impl FnMut(Progress),
) -> Result<Report, RebuildError> {
    drop::leftovers(connection).await?;
    let mut version = create(connection).await?;
    let built = match build_and_swap(connection, &mut version, begin, tell).await {
        Ok(built) => built,
        Err(error) => {
            // Half a version is of no use, and large. Where even that fails, the next rebuild sweeps.
            if let Err(left) = drop::version(connection, version.version).await {
                tracing::warn!(error = %left, version = version.version, "what was built is left");
            }
            return Err(error);
        }
    };
    go_on(connection).await?;

    tell(Progress::Dropping);
    let dropped = match built.replaced {
        Some(old) => drop::version(connection, old).await?,
        None => true,
    };
    let position = lag::read(connection).await?.map_or(version.position, |lag| lag.position);
    let Built { replaced, comparison, events_per_second } = built;
    let seconds = begin.elapsed().as_secs_f64();
    Ok(Report { version: version.version, replaced, position, seconds, events_per_second, comparison, dropped })
}

struct Built {
    replaced: Option<i32>,
    comparison: Option<Comparison>,
    events_per_second: f64,
}

async fn build_and_swap(
    connection: &mut PgConnection,
    version: &mut Version,
    begin: Instant,
    tell: &mut impl FnMut(Progress),
) -> Result<Built, RebuildError> {
    build(connection, version, begin, tell).await?;
    let events_per_second = version.position as f64 / begin.elapsed().as_secs_f64();
    tell(Progress::Comparing);
    sqlx::query!("select projector.analyze_version($1)", version.version).execute(&mut *connection).await?;
    let comparison = compare::with_live(connection, version).await?;
    loop {
        // Comparing took its time: most of what came meanwhile is applied before anybody waits.
        build(connection, version, begin, tell).await?;
        tell(Progress::Swapping);
        if let swap::Swap::Done { replaced } = swap::attempt(connection, version).await? {
            return Ok(Built { replaced, comparison, events_per_second });
        }
    }
}

/// An empty version with partitions for all months of the log.
async fn create(connection: &mut PgConnection) -> Result<Version, sqlx::Error> {
    let now = Utc::now();
    let first = log::recorded_at(connection, 1).await?.unwrap_or(now);
    let version = sqlx::query_scalar!(
        r#"select projector.create_version($1, $2) as "version!""#,
        first.min(now) - months::BEFORE,
        now + months::AHEAD
    )
    .fetch_one(&mut *connection)
    .await?;
    Version::load(connection, version, false, 0).await
}

/// Applies events up to where the live version is: both can then be compared, and no reader goes back in time.
async fn build(
    connection: &mut PgConnection,
    version: &mut Version,
    begin: Instant,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ApplyError> {
    loop {
        let target = target(connection).await?;
        tell(Progress::Building { position: version.position, target, elapsed: begin.elapsed() });
        let events = log::read(connection, version.position, target, BATCH).await?;
        if events.is_empty() {
            return Ok(());
        }
        version.apply(connection, &events, OnPoison::Stop).await?;
    }
}

async fn target(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let live = sqlx::query_scalar!("select position from projector.projection where name = $1 and live", PROJECTION)
        .fetch_optional(&mut *connection)
        .await?;
    match live {
        Some(position) => Ok(position),
        None => log::head(connection).await,
    }
}

/// Without a follower, what the old version had not read yet would wait for the next one.
async fn go_on(connection: &mut PgConnection) -> Result<(), ApplyError> {
    if !database::try_lock(connection, Lock::Follower).await? {
        return Ok(());
    }
    while let Some(mut version) = Version::live(connection).await? {
        let events = log::read(connection, version.position, i64::MAX, BATCH).await?;
        if events.is_empty() {
            break;
        }
        match version.apply(connection, &events, OnPoison::Quarantine).await {
            Ok(_) | Err(ApplyError::Moved) => {}
            // To find the one event is the follower's work.
            Err(error) if error.is_an_events_fault() => {
                tracing::warn!(%error, "the rest of the log is left to the follower");
                break;
            }
            Err(error) => return Err(error),
        }
    }
    database::unlock(connection, Lock::Follower).await?;
    Ok(())
}
