//! Keeps the live version up to date, for ever:
//!
//! | phase | until |
//! |---|---|
//! | connect | the database is there |
//! | wait for the migrations | the ledger has run them |
//! | stand by | no other projector is active |
//! | follow | the connection is lost, or a rebuild swaps versions: then from the beginning |

pub(crate) mod months;
mod status;
mod waker;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::join;
use tokio::time::{sleep, timeout};

pub use status::{Phase, Snapshot, Status};

use self::months::Months;
use self::waker::Waker;
use crate::apply::{ApplyError, OnPoison, Version};
use crate::database::{self, Lock};
use crate::fold::Poison;
use crate::lag;
use crate::log::Logged;
use crate::page::{Ahead, Page};
use crate::retire::Retention;

/// Events a transaction: large enough that its costs are shared, small enough that rows appear at once.
const BATCH: i64 = 2_000;
/// The same where more than that wait: nobody can have all of these rows at once.
const BATCH_BEHIND: i64 = 10_000;
/// A batch that takes longer hangs: the connection is given up.
const STEP_TIME_LIMIT: Duration = Duration::from_secs(60);
/// How often a projector that has nothing to do looks all the same.
const IDLE: Duration = Duration::from_secs(1);
/// Waits between attempts to reach the database grow from here …
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// … to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follows the log, and keeps what is kept where nothing is said. It ends only when it is dropped: a batch is a transaction, so
/// it can be dropped anywhere.
pub async fn follow(options: &PgConnectOptions, status: &Status) {
    follow_keeping(options, Retention::default(), status).await;
}

/// The same, and drops months that are not kept any more.
pub async fn follow_keeping(options: &PgConnectOptions, retention: Retention, status: &Status) {
    let mut pause = FIRST_PAUSE;
    loop {
        let begin = Instant::now();
        let Err(error) = session(options, retention, status).await;
        status.lost(&error);
        tracing::warn!(%error, "not following; trying again");
        // A session that lasted was healthy; one that fails at once, again and again, must not fill the log.
        pause = if begin.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        sleep(pause).await;
    }
}

/// From a new connection to its end, which is always an error.
async fn session(options: &PgConnectOptions, retention: Retention, status: &Status) -> Result<Infallible, ApplyError> {
    let mut connection = database::connect(options).await?;
    wait_for_migrations(&mut connection, status).await?;
    stand_by(&mut connection, status).await?;
    tracing::info!("active: following the log");
    let (mut waker, mut ahead) = (Waker::new(options).await?, Ahead::new(options).await?);
    loop {
        follow_version(&mut connection, &mut ahead, &mut waker, retention, status).await?;
    }
}

async fn wait_for_migrations(connection: &mut PgConnection, status: &Status) -> Result<(), sqlx::Error> {
    let mut said = false;
    while !database::is_migrated(connection).await? {
        status.phase(Phase::WaitingForMigrations);
        if !said {
            tracing::info!("waiting for the migrations, which the ledger runs");
            said = true;
        }
        sleep(IDLE).await;
    }
    Ok(())
}

async fn stand_by(connection: &mut PgConnection, status: &Status) -> Result<(), sqlx::Error> {
    let mut said = false;
    while !database::try_lock(connection, Lock::Follower).await? {
        if !said {
            tracing::info!("standing by: another projector is active");
            said = true;
        }
        status.seen(Phase::StandingBy, lag::read(connection).await?);
        sleep(IDLE).await;
    }
    Ok(())
}

/// Follows with the live version until it is live no more.
async fn follow_version(
    connection: &mut PgConnection,
    ahead: &mut Ahead,
    waker: &mut Waker,
    retention: Retention,
    status: &Status,
) -> Result<(), ApplyError> {
    let Some(mut version) = Version::live(connection).await? else {
        tracing::error!("no version of the read models is live; `projector rebuild` makes one");
        sleep(IDLE).await;
        return Ok(());
    };
    tracing::info!(version = version.version, position = version.position, "live version");
    let mut months = Months::new(retention);
    loop {
        let step = timeout(STEP_TIME_LIMIT, async {
            months.keep_ahead(connection, &mut version).await?;
            step(connection, ahead, &mut version, status).await
        });
        match step.await {
            Ok(Ok(Step::More)) => {}
            Ok(Ok(Step::Idle)) => waker.wait(IDLE).await?,
            // A rebuild swapped, or another projector was quicker.
            Ok(Err(ApplyError::Moved)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(connection_lost("a batch took too long").into()),
        }
    }
}

/// What a session ends with when the database itself says nothing.
fn connection_lost(what: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(what))
}

enum Step {
    More,
    Idle,
}

/// Applies the next batch, and says how far that is. Where it was a full one, the next is read and decoded meanwhile.
async fn step(
    connection: &mut PgConnection,
    ahead: &mut Ahead,
    version: &mut Version,
    status: &Status,
) -> Result<Step, ApplyError> {
    let page = ahead.page(version.position, i64::MAX, BATCH).await?;
    if let Some(last) = page.last() {
        let is_behind = page.events().len() >= BATCH as usize;
        let (applied, read) = join!(version.apply(connection, &page, OnPoison::Quarantine), async {
            if is_behind { ahead.read_on(last, i64::MAX, BATCH_BEHIND).await } else { Ok(()) }
        });
        match applied {
            Ok(done) => status.applied(done.events),
            Err(error) if error.is_an_events_fault() => {
                tracing::error!(%error, "a batch is refused; its events are applied one by one");
                one_by_one(connection, version, page.events(), status).await?;
            }
            Err(error) => return Err(error),
        }
        read?;
    }
    let lag = lag::read(connection).await?;
    let more = lag.as_ref().is_some_and(|lag| lag.head > version.position);
    let is_ours = lag.as_ref().is_some_and(|lag| lag.version == version.version && lag.position == version.position);
    status.seen(Phase::Following, lag);
    if !is_ours {
        return Err(ApplyError::Moved);
    }
    Ok(if more { Step::More } else { Step::Idle })
}

/// After a batch was refused: finds the event that is the cause and passes over it alone.
async fn one_by_one(
    connection: &mut PgConnection,
    version: &mut Version,
    events: &[Logged],
    status: &Status,
) -> Result<(), ApplyError> {
    for event in events {
        // What a failed attempt left in memory is not what the database has.
        let mut fresh = Version::live(connection).await?.ok_or(ApplyError::Moved)?;
        match fresh.apply(connection, &Page::of(vec![event.clone()]), OnPoison::Quarantine).await {
            Ok(_) => {}
            Err(error) if error.is_an_events_fault() => {
                fresh = Version::live(connection).await?.ok_or(ApplyError::Moved)?;
                fresh.pass_over(connection, event, &Poison::Refused(error.to_string())).await?;
            }
            Err(error) => return Err(error),
        }
        status.applied(1);
        *version = fresh;
    }
    Ok(())
}
