//! Builds a new version of the read models beside the live one and swaps them:
//!
//! | phase | what | who waits |
//! |---|---|---|
//! | begin | the version of a killed rebuild is gone on with; others that are left are dropped | |
//! | build | all events from the first one, up to where the live version is | |
//! | compare | counts and checksums of both versions at one position, in one snapshot | |
//! | swap | the last few events, and one row that says which version is live | the follower, for a moment |
//! | go on | the rest of the log, where no follower is active | |
//! | drop | the old version's partitions, once nobody reads them | nobody longer than `drop::PATIENCE` |
//!
//! Readers meet no lock and no empty table: a statement sees the old version or the new one, as a whole.
//!
//! One table alone is built in the same way, with what it is made from. In place of the swap, rows of the live version that
//! differ are replaced, in one transaction.

mod begin;
mod compare;
mod drop;
mod replace;
mod swap;

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::join;
use tokio::time::sleep;

pub use compare::{Comparison, TableComparison};

use self::replace::Replaced;
use crate::apply::{ApplyError, OnPoison, PROJECTION, Version};
use crate::database::{self, Lock};
use crate::page::{Ahead, Page};
use crate::{lag, log, retire};

/// Events a transaction. Nobody waits for these rows, so fewer and larger ones than the follower's.
const BATCH: i64 = 10_000;

/// What is to be rebuilt.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// One table of the live version; all of them, as a new version, where it is `None`.
    pub only: Option<String>,
    /// Begin with the first event, whatever a killed rebuild left.
    pub from_start: bool,
}

/// What a rebuild did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The version that is live now.
    pub version: i32,
    /// The version that was live before; absent where only a table was rebuilt.
    pub replaced: Option<i32>,
    /// The table that was rebuilt; absent: all of them.
    pub only: Option<String>,
    /// A killed rebuild had come as far as here, and was gone on with; 0: from the first event.
    pub resumed_at: i64,
    /// Of one table: rows of the live version that were wrong and are gone …
    pub rows_removed: Option<i64>,
    /// … and rows that are there in their place, or were missing.
    pub rows_added: Option<i64>,
    /// The last event whose rows are there.
    pub position: i64,
    /// How long it took.
    pub seconds: f64,
    /// Events a second while building.
    pub events_per_second: f64,
    /// How the two versions differed; absent where there was nothing to compare with.
    pub comparison: Option<Comparison>,
    /// Whether what is not live is gone already; the next rebuild drops it otherwise.
    pub dropped: bool,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// Events applied, of so many, since so long.
    Building {
        /// Where this run began: what a killed one had applied before.
        from: i64,
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
    /// Dropping what is not live.
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
    /// No table has this name.
    #[error("{table} is no table of the read models: they are {known}")]
    UnknownTable {
        /// What was asked for.
        table: String,
        /// What can be.
        known: String,
    },
    /// One table is rebuilt for a version that is live.
    #[error("no version of the read models is live: rebuild all of them, without --only")]
    NotLive,
    /// Somebody deleted it by hand.
    #[error("the version that was being built is gone")]
    Gone,
    /// The program cannot read itself, to know its own work again.
    #[error("the program's own file cannot be read: {0}")]
    Program(std::io::Error),
    /// An event could not be applied.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Rebuilds read models from the first event on, or from where a killed rebuild was.
///
/// # Errors
/// Queries then see what they saw before, unless the error came after the swap. What was built is kept for the next rebuild, if
/// that can go on with it.
pub async fn rebuild(
    options: &PgConnectOptions,
    wanted: &Wanted,
    mut tell: impl FnMut(Progress),
) -> Result<Report, RebuildError> {
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
    let ahead = Ahead::new(&options).await?;
    let report = locked(connection, ahead, wanted, begin, &mut tell).await;
    // Given back here and not with the connection, whose end the server notices a moment later. After an error the
    // connection may be gone, and the lock with it.
    let unlocked = database::unlock(connection, Lock::Rebuild).await;
    let report = report?;
    unlocked?;
    Ok(report)
}

async fn locked(
    connection: &mut PgConnection,
    ahead: Ahead,
    wanted: &Wanted,
    begin: Instant,
    tell: &mut impl FnMut(Progress),
) -> Result<Report, RebuildError> {
    if wanted.only.is_some() && live(connection).await?.is_none() {
        return Err(RebuildError::NotLive);
    }
    let version = begin::begin(connection, wanted).await?;
    let number = version.version;
    let mut build = Build { resumed_at: version.position, version, ahead, begin };
    let built = match build.finish(connection, wanted, tell).await {
        Ok(built) => built,
        Err(error) => {
            // The same program would stop at the same event again. After any other error the next rebuild goes on.
            if matches!(&error, RebuildError::Apply(error) if error.is_an_events_fault())
                && let Err(left) = drop::version(connection, number).await
            {
                tracing::warn!(error = %left, version = number, "what was built is left");
            }
            return Err(error);
        }
    };
    go_on(connection).await?;

    tell(Progress::Dropping);
    let old = if wanted.only.is_some() { Some(number) } else { built.replaced };
    let dropped = match old {
        Some(old) => drop::version(connection, old).await?,
        None => true,
    };
    let lag = lag::read(connection).await?;
    let (removed, added) = built.rows.unzip();
    Ok(Report {
        version: lag.as_ref().map_or(number, |lag| lag.version),
        replaced: built.replaced,
        only: wanted.only.clone(),
        resumed_at: build.resumed_at,
        rows_removed: removed,
        rows_added: added,
        position: lag.map_or(build.version.position, |lag| lag.position),
        seconds: begin.elapsed().as_secs_f64(),
        events_per_second: built.events_per_second,
        comparison: built.comparison,
        dropped,
    })
}

/// A version that is being built.
struct Build {
    version: Version,
    ahead: Ahead,
    resumed_at: i64,
    begin: Instant,
}

struct Built {
    replaced: Option<i32>,
    /// Of one table: removed, added.
    rows: Option<(i64, i64)>,
    comparison: Option<Comparison>,
    events_per_second: f64,
}

impl Build {
    async fn finish(
        &mut self,
        connection: &mut PgConnection,
        wanted: &Wanted,
        tell: &mut impl FnMut(Progress),
    ) -> Result<Built, RebuildError> {
        self.build(connection, tell).await?;
        let events_per_second = (self.version.position - self.resumed_at) as f64 / self.begin.elapsed().as_secs_f64();
        retire_as_live(connection, &mut self.version).await?;
        tell(Progress::Comparing);
        sqlx::query!("select projector.analyze_version($1)", self.version.version).execute(&mut *connection).await?;
        let comparison = compare::with_live(connection, &mut self.version).await?;
        let same = comparison.as_ref().is_some_and(|comparison| comparison.same);
        let mut built = Built { replaced: None, rows: None, comparison, events_per_second };
        if wanted.only.is_some() && same {
            built.rows = Some((0, 0));
            return Ok(built);
        }
        loop {
            // Comparing took its time: most of what came meanwhile is applied before anybody waits.
            self.build(connection, tell).await?;
            tell(Progress::Swapping);
            match &wanted.only {
                None => {
                    if let swap::Swap::Done { replaced } = swap::attempt(connection, &mut self.version).await? {
                        built.replaced = replaced;
                        return Ok(built);
                    }
                }
                Some(only) => {
                    let attempt = replace::attempt(connection, &mut self.version, only).await?;
                    if let Replaced::Done { removed, added } = attempt.ok_or(RebuildError::NotLive)? {
                        built.rows = Some((removed, added));
                        return Ok(built);
                    }
                }
            }
        }
    }

    /// Applies events up to where the live version is: both can then be compared, and no reader goes back in time.
    async fn build(
        &mut self,
        connection: &mut PgConnection,
        tell: &mut impl FnMut(Progress),
    ) -> Result<(), ApplyError> {
        loop {
            let target = match live(connection).await? {
                Some(position) => position,
                None => log::head(connection).await?,
            };
            let (from, position, elapsed) = (self.resumed_at, self.version.position, self.begin.elapsed());
            tell(Progress::Building { from, position, target, elapsed });
            let page = self.ahead.page(position, target, BATCH).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let (applied, read) =
                join!(self.version.apply(connection, &page, OnPoison::Stop), self.ahead.read_on(last, target, BATCH));
            applied?;
            read?;
        }
    }
}

/// What the live version has dropped goes here too, before anybody sees it: both then have the same months.
async fn retire_as_live(connection: &mut PgConnection, version: &mut Version) -> Result<(), sqlx::Error> {
    let live = sqlx::query_scalar!("select version from projector.projection where name = $1 and live", PROJECTION)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(live) = live else { return Ok(()) };
    while !retire::as_in(connection, version, live).await? {
        // A query has the new version's months in its plan, though it reads none of them.
        sleep(drop::PATIENCE).await;
    }
    Ok(())
}

/// Where the live version is.
async fn live(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar!("select position from projector.projection where name = $1 and live", PROJECTION)
        .fetch_optional(connection)
        .await
}

/// Without a follower, what the old version had not read yet would wait for the next one.
async fn go_on(connection: &mut PgConnection) -> Result<(), ApplyError> {
    if !database::try_lock(connection, Lock::Follower).await? {
        return Ok(());
    }
    while let Some(mut version) = Version::live(connection).await? {
        let page = Page::of(log::read(connection, version.position, i64::MAX, BATCH).await?);
        if page.last().is_none() {
            break;
        }
        match version.apply(connection, &page, OnPoison::Quarantine).await {
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
