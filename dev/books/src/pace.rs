//! The projector's pace beside the ledger's, on one machine and not at the same time; and a rebuild while readers look.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use stack::servers::Postgres;
use tokio::task::JoinSet;

/// Readers that look all the time.
const READERS: usize = 2;
/// What analysts are granted, but for what can be empty in true books.
const VIEWS: &str = "select table_schema || '.' || table_name from information_schema.role_table_grants
    where grantee = 'layers_analyst' and privilege_type = 'SELECT' and table_schema in ('public', 'analyst') order by 1";

/// A projector that follows; killed when it is dropped.
pub struct Follower(Child);

impl Follower {
    /// Starts one.
    ///
    /// # Errors
    /// When the program is not there.
    pub fn start(url: &str) -> Result<Self> {
        let program = stack::place::program("projector")?;
        let quiet = Command::new(program)
            .arg("run")
            .env("DATABASE_URL", url)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self(quiet))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // A follower that is gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Follows from an empty table to the end of the log; how long that took, without the program's start.
///
/// # Errors
/// When the database fails, or nothing moves any more.
pub async fn follow(db: &mut PgConnection, url: &str, last: i64) -> Result<(Follower, Duration)> {
    let follower = Follower::start(url)?;
    let position = async |db: &mut PgConnection| -> Result<i64> {
        Ok(sqlx::query_scalar("select position from public.projection").fetch_one(db).await?)
    };
    let started = Instant::now();
    while position(db).await? == 0 {
        ensure!(started.elapsed() < Duration::from_secs(60), "the projector does not begin");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // What the first batch took is counted by what the others take.
    let (first, begin) = (position(db).await?, Instant::now());
    let (mut seen, mut moved) = (first, Instant::now());
    while seen < last {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = position(db).await?;
        if now > seen {
            (seen, moved) = (now, Instant::now());
        }
        ensure!(moved.elapsed() < Duration::from_secs(60), "the projector stands still at {seen} of {last}");
    }
    Ok((follower, begin.elapsed().mul_f64(last as f64 / (last - first).max(1) as f64)))
}

/// What `projector rebuild --json` says.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Rebuilt {
    pub events_per_second: f64,
    pub seconds: f64,
    pub comparison: Option<Compared>,
}

/// Its comparison.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Compared {
    pub same: bool,
    pub tables: Vec<ComparedTable>,
}

/// A table in it.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct ComparedTable {
    pub table: String,
    pub same: bool,
}

/// What readers saw meanwhile.
#[derive(Debug, Default)]
pub struct Seen {
    /// Statements.
    pub reads: AtomicU64,
    /// Of those: a view had no row.
    pub empty: AtomicU64,
    /// Of those: an account's tables did not agree, or were less than before.
    pub half: AtomicU64,
}

/// Rebuilds (with these arguments) while readers ask every view that analysts have.
///
/// # Errors
/// When the rebuild or a statement fails.
pub async fn rebuild_while_readers_look(
    db: &mut PgConnection,
    postgres: &Postgres,
    args: &[&str],
) -> Result<(Rebuilt, Arc<Seen>)> {
    sqlx::query("alter role layers_analyst password 'secret'").execute(&mut *db).await?;
    let mut views: Vec<String> = sqlx::query_scalar(VIEWS).fetch_all(&mut *db).await?;
    for view in std::mem::take(&mut views) {
        let has_rows = sqlx::query_scalar(AssertSqlSafe(format!("select exists (select from {view})")));
        if has_rows.fetch_one(&mut *db).await? {
            views.push(view);
        } else {
            println!("{view} has no row to begin with, and is not looked at");
        }
    }
    let accounts: Vec<uuid::Uuid> =
        sqlx::query_scalar("select account_id from credit_balances order by 1").fetch_all(&mut *db).await?;
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let url = postgres.url_as("layers_analyst", "secret");
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (views, accounts, stop, seen) = (views.clone(), accounts.clone(), stop.clone(), seen.clone());
        let url = url.clone();
        readers.spawn(async move {
            let mut db = PgConnection::connect(&url).await?;
            let mut turn = reader;
            while !stop.load(Relaxed) {
                look(&mut db, &views, &accounts, turn, &seen).await?;
                turn += 1;
            }
            anyhow::Ok(())
        });
    }
    let program = stack::place::program("projector")?;
    let mut command = tokio::process::Command::new(program);
    command.args(["rebuild", "--json", "--progress", "plain"]).args(args).env("DATABASE_URL", postgres.url());
    let done = command.stdout(Stdio::piped()).spawn()?.wait_with_output().await?;
    stop.store(true, Relaxed);
    while let Some(reader) = readers.join_next().await {
        reader??;
    }
    ensure!(done.status.success(), "the rebuild failed");
    Ok((serde_json::from_slice(&done.stdout).context("projector rebuild said nothing that can be read")?, seen))
}

/// One look: a row of each view, and what an account's tables say of the same.
async fn look(
    db: &mut PgConnection,
    views: &[String],
    accounts: &[uuid::Uuid],
    turn: usize,
    seen: &Seen,
) -> Result<()> {
    for view in views {
        let has_rows: bool = sqlx::query_scalar(AssertSqlSafe(format!("select exists (select from {view})")))
            .fetch_one(&mut *db)
            .await?;
        seen.reads.fetch_add(1, Relaxed);
        seen.empty.fetch_add(u64::from(!has_rows), Relaxed);
    }
    let agree: bool = sqlx::query_scalar(
        "select (select count(*) from usage_logs where account_id = $1) = coalesce((select sum(requests) from usage_daily where account_id = $1), 0)
            and (select charged from credit_balances where account_id = $1)
                = coalesce((select sum(credits_used) from usage_daily where account_id = $1), 0)",
    )
    .bind(accounts[turn % accounts.len()])
    .fetch_one(db)
    .await?;
    seen.reads.fetch_add(1, Relaxed);
    seen.half.fetch_add(u64::from(!agree), Relaxed);
    Ok(())
}
