//! Makes a year of usage and asks the queries of docs/analytics.md; `make history` calls it.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use books::history::{Year, explain, fill, questions};
use chrono::{DateTime, Months, SubsecRound, TimeDelta, Timelike, Utc};
use clap::Parser;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row};
use stack::servers::{Postgres, PostgresOptions};

/// Each figure is the median of so many.
const RUNS: usize = 7;

#[derive(Parser)]
struct Options {
    /// Requests in the year.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Another seed, another year.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The longest that an answer may take, milliseconds.
    #[arg(long, default_value_t = 300.0)]
    limit_ms: f64,
    /// The year ends here, at a full hour; now where it is not named.
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// The queries.
    #[arg(long, default_value = "docs/analytics.md")]
    page: PathBuf,
    /// Months of `usage_hourly`, as a projector keeps them where nothing else is said.
    #[arg(long, default_value_t = 1)]
    keep_hourly_months: u32,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let page = std::fs::read_to_string(&options.page).with_context(|| options.page.display().to_string())?;
    let now = options.until.unwrap_or_else(Utc::now);
    let until = now.trunc_subsecs(0) - TimeDelta::seconds(i64::from(now.minute() * 60 + now.second()));
    let settings = [
        "shared_buffers=1GB",
        "max_wal_size=1GB",
        "wal_level=minimal",
        "max_wal_senders=0",
        "maintenance_work_mem=256MB",
    ];
    let settings = settings.map(str::to_owned).to_vec();
    let start = move || Postgres::start_with(PostgresOptions { settings, ..PostgresOptions::default() });
    let postgres = tokio::task::spawn_blocking(start).await??;
    let connect = ledger::database::options(&postgres.url())?;
    ledger::database::migrate(&connect).await?;
    let mut db = connect.connect().await?;
    // Sums of a month are sorted: in memory. Nobody asks meanwhile.
    db.execute("set work_mem = '512MB'").await?;
    let hours = until.checked_sub_months(Months::new(options.keep_hourly_months)).context("no such time")?;
    let year = Year::new(options.seed, until, options.rows)?;
    let filled = fill(&mut db, year, Some(hours), |told| show(told, options.rows)).await?;
    let seconds = filled.rows.as_secs_f64();
    println!(
        "\r{} requests until {until}, seed {}: rows in {seconds:.0} s ({:.0}/s), sums in {:.0} s",
        options.rows,
        options.seed,
        options.rows as f64 / seconds,
        filled.rollups.as_secs_f64()
    );
    sizes(&mut db).await?;
    db.execute("alter role layers_analyst password 'history'").await?;
    let mut analyst = PgConnection::connect(&postgres.url_as("layers_analyst", "history")).await?;
    ask(&mut db, &mut analyst, &page, options.limit_ms).await
}

/// Asks all, and fails where one is too slow or reads all months.
async fn ask(db: &mut PgConnection, analyst: &mut PgConnection, page: &str, limit_ms: f64) -> Result<()> {
    let text = |sql: &'static str| sqlx::query_scalar::<_, String>(sql);
    // The largest account, and a request of months ago.
    let account = text("select account_id::text from usage_monthly group by 1 order by sum(requests) desc limit 1")
        .fetch_one(&mut *db);
    let account = account.await?;
    let request = text(
        "select request_id::text from usage_logs where created_at > now() - interval '200 days' order by created_at limit 1",
    );
    let request = request.fetch_one(&mut *db).await?;
    let months: i64 = sqlx::query_scalar(
        "select count(*) from pg_class c join pg_inherits i on i.inhrelid = c.oid
         where i.inhparent = (select ('read_models.requests_' || version)::regclass from projector.projection where live)",
    )
    .fetch_one(&mut *db)
    .await?;
    println!("\n{:55} {:>9} {:>9} {:>6}  reads", "", "median", "planning", "rows");
    let mut failed = Vec::new();
    for question in questions(page)? {
        let sql = question.with(&account, &request);
        let (mut took, mut rows) = (Vec::new(), 0);
        for _ in 0..RUNS {
            let begin = Instant::now();
            rows = analyst.fetch_all(AssertSqlSafe(sql.clone())).await.with_context(|| question.title.clone())?.len();
            took.push(begin.elapsed());
        }
        took.sort();
        let median = ms(took[RUNS / 2]);
        let reading = explain(analyst, &sql).await?;
        let of_months = reading.tables.iter().filter(|table| table.starts_with("requests_")).count();
        let tables: Vec<&str> = reading.tables.iter().map(String::as_str).collect();
        println!(
            "{:55} {median:>6.1} ms {:>6.1} ms {rows:>6}  {}",
            question.title,
            reading.planning_ms,
            tables.join(" ")
        );
        if rows == 0 || median > limit_ms || of_months as i64 >= months {
            failed.push(question.title);
        }
    }
    ensure!(failed.is_empty(), "no answer, slower than {limit_ms} ms, or all {months} months are read: {failed:?}");
    Ok(())
}

async fn sizes(db: &mut PgConnection) -> Result<()> {
    let rows = db
        .fetch_all(
            "select t, pg_size_pretty(sum(pg_total_relation_size(p.relid))), pg_size_pretty(pg_database_size(current_database()))
             from unnest(projector.tables()) t cross join lateral pg_partition_tree(('read_models.' || t)::regclass) p
             where p.isleaf group by t having sum(pg_total_relation_size(p.relid)) > 10000000 order by sum(pg_total_relation_size(p.relid)) desc",
        )
        .await?;
    for row in &rows {
        println!("{:20} {:>10}", row.get::<String, _>(0), row.get::<String, _>(1));
    }
    if let Some(row) = rows.first() {
        println!("{:20} {:>10}", "the database", row.get::<String, _>(2));
    }
    Ok(())
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn show(told: u64, of: u64) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[2Kwriting {told} of {of} requests");
        // A line that cannot be shown is none.
        let _ = std::io::stderr().flush();
    }
}
