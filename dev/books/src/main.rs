//! Makes books of any length and measures what it costs to prove them (`make books`), or to project and rebuild them
//! (`make rebuild-bench`).

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use books::make::{Maker, verifier};
use books::{floor, measure, pace};
use clap::Parser;
use futures_util::TryStreamExt;
use sqlx::{ConnectOptions, PgConnection, Row};
use stack::servers::{Postgres, PostgresOptions};

/// Each figure is the best of so many: what others do on the machine only ever adds.
const RUNS: usize = 3;

#[derive(Parser)]
struct Options {
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Another seed, another story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Append, follow and rebuild, and how their paces compare, instead of what proofs cost.
    #[arg(long)]
    projector: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    if options.projector {
        return keep_pace(options.seed, options.events).await;
    }
    // A tenth as long first: memory that is the same for both does not grow with the log.
    let tenth = prove(options.seed, options.events / 10).await?;
    let whole = prove(options.seed, options.events).await?;
    println!("\n{:34} {:>12} {:>14}", "", "events/s", "of a bare fold");
    for (what, rate) in &whole.rates {
        println!("{what:34} {rate:>12.0} {:>14.3}", rate / whole.rates[0].1);
    }
    println!();
    for proved in [&tenth, &whole] {
        println!("peak memory of verify {:>6.1} MiB for {} events", proved.peak_mib, proved.events);
    }
    Ok(())
}

/// Append by the ledger's own code, then follow by the projector, then rebuild while readers look: one after the other.
async fn keep_pace(seed: u64, events: u64) -> Result<()> {
    let settings = ["shared_buffers=512MB", "max_wal_size=8GB"].map(str::to_owned).to_vec();
    let start = move || Postgres::start_with(PostgresOptions { settings, ..PostgresOptions::default() });
    let postgres = tokio::task::spawn_blocking(start).await??;
    let connect = ledger::database::options(&postgres.url())?;
    ledger::database::migrate(&connect).await?;
    let mut db = connect.connect().await?;
    let mut maker = Maker::new(seed, events)?;
    let begin = Instant::now();
    let last = maker.make(&mut db, events, |position| show(position, events)).await?;
    let appended = begin.elapsed();
    told("decided and appended", last, appended);
    told("  of that, hashed and stored", last, maker.stored());
    let (follower, followed) = pace::follow(&mut db, &postgres.url(), i64::try_from(last)?).await?;
    told("followed", last, followed);
    let ratio = |of: Duration| of.as_secs_f64() / followed.as_secs_f64();
    println!("follow is {:.2} of append, {:.2} of storing alone", ratio(appended), ratio(maker.stored()));
    for args in [&[][..], &["--only", "usage_by_day"]] {
        let (rebuilt, seen) = pace::rebuild_while_readers_look(&mut db, &postgres, args).await?;
        let compared = rebuilt.comparison.context("nothing was compared")?;
        let differing: Vec<_> = compared.tables.iter().filter(|table| !table.same).map(|table| &table.table).collect();
        let (reads, empty, half) = (seen.reads.load(Relaxed), seen.empty.load(Relaxed), seen.half.load(Relaxed));
        println!(
            "rebuild {}: {:.0} events/s, {:.1} s in all; {reads} reads, {empty} empty, {half} half; differences: {}",
            args.join(" "),
            rebuilt.events_per_second,
            rebuilt.seconds,
            differing.len()
        );
        ensure!(compared.same && differing.is_empty(), "tables differ: {differing:?}");
        ensure!(empty == 0 && half == 0, "readers saw what is not there");
    }
    drop(follower);
    Ok(())
}

struct Proved {
    events: u64,
    rates: Vec<(&'static str, f64)>,
    peak_mib: f64,
}

async fn prove(seed: u64, events: u64) -> Result<Proved> {
    let settings = ["shared_buffers=512MB", "max_wal_size=8GB", "work_mem=64MB"].map(str::to_owned).to_vec();
    let start = move || Postgres::start_with(PostgresOptions { settings, ..PostgresOptions::default() });
    let postgres = tokio::task::spawn_blocking(start).await??;
    let connect = ledger::database::options(&postgres.url())?;
    ledger::database::migrate(&connect).await?;
    let mut db = connect.connect().await?;
    let begin = Instant::now();
    let made = Maker::new(seed, events)?.make(&mut db, events, |position| show(position, events)).await?;
    told("made", made, begin.elapsed());
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("events");
    let bytes = dump(&mut db, &file).await?;
    println!("{made} events of {} bytes on average, seed {seed}", bytes / made);
    told("projected", made, measure::run("projector", &["rebuild"], &postgres.url())?);

    let key = verifier()?.to_string();
    let url = postgres.url();
    let mut peak = 0;
    let rates = vec![
        ("bare fold", best(|| measure::bare_fold(&file))?),
        ("hash and fold", best(|| measure::hash_and_fold(&file))?),
        (
            "ledger verify",
            best(|| {
                let verified = measure::verify(&url, &key)?;
                ensure!(verified.ok && verified.events == made, "the books do not verify: {verified:?}");
                ensure!(verified.read_models_position == Some(made), "the read models are behind");
                peak = peak.max(verified.peak_memory_kib.unwrap_or_default());
                Ok((verified.events, Duration::from_secs_f64(verified.seconds)))
            })?,
        ),
        ("ledger replay, the largest account", replay(&mut db, &url).await?),
    ];
    Ok(Proved { events: made, rates, peak_mib: peak as f64 / 1024.0 })
}

/// The account of a fifth of the business.
async fn replay(db: &mut PgConnection, url: &str) -> Result<f64> {
    let row = sqlx::query("select account_id::text, count(*) from ledger.events where account_id is not null group by 1 order by 2 desc limit 1")
        .fetch_one(db)
        .await?;
    let (account, events): (String, i64) = (row.get(0), row.get(1));
    best(|| Ok((u64::try_from(events)?, measure::run("ledger", &["replay", "--account", &account], url)?)))
}

/// Events a second.
fn best(mut run: impl FnMut() -> Result<(u64, Duration)>) -> Result<f64> {
    let mut best: f64 = 0.0;
    for _ in 0..RUNS {
        let (events, took) = run()?;
        best = best.max(events as f64 / took.as_secs_f64());
    }
    Ok(best)
}

async fn dump(db: &mut PgConnection, file: &Path) -> Result<u64> {
    let mut writer = floor::Writer::create(file)?;
    let mut total = 0;
    let mut rows = sqlx::query("select event from ledger.events order by position").fetch(db);
    while let Some(row) = rows.try_next().await.context("the events cannot be read")? {
        let bytes: &[u8] = row.get(0);
        total += bytes.len() as u64;
        writer.push(bytes)?;
    }
    writer.finish()?;
    Ok(total)
}

fn told(what: &str, events: u64, took: Duration) {
    let line =
        format!("{what} {events} events in {:.1} s: {:.0}/s", took.as_secs_f64(), events as f64 / took.as_secs_f64());
    match std::io::stderr().is_terminal() {
        true => println!("\r\x1b[2K{line}"),
        false => println!("{line}"),
    }
}

fn show(position: u64, of: u64) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2Kmaking {position} of {of} events");
        // A line that cannot be shown is none.
        let _ = std::io::stderr().flush();
    }
}
