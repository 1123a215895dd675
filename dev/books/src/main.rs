//! Makes books of any length and measures what it costs to prove them; `make books` calls it.

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
struct Options {
    /// Events in the log, about.
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Another seed, another story.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let postgres = tokio::task::spawn_blocking(|| stack::servers::Postgres::start()).await??;
    let connect = ledger::database::options(&postgres.url())?;
    ledger::database::migrate(&connect).await?;
    let mut db = sqlx::ConnectOptions::connect(&connect).await?;
    let begin = std::time::Instant::now();
    let made = books::make::make(&mut db, options.seed, options.events, |_| {}).await?;
    println!("{made} events in {:?}", begin.elapsed());
    for row in sqlx::query_as::<_, (String, i64, i64)>("select event_type, count(*), sum(length(event))::bigint from ledger.events group by 1 union all select note, count(*), 0 from ledger.notes group by 1").fetch_all(&mut db).await? {
        println!("{row:?}");
    }
    println!("{:?}", sqlx::query_as::<_, (i64, i64, i64)>("select (select count(*) from ledger.quarantine), (select count(*) from ledger.leases), (select count(*) from ledger.emitters)").fetch_one(&mut db).await?);
    let begin = std::time::Instant::now();
    let report = ledger::verify::verify(&mut db).await?;
    println!("{} {:?} {:?}", report.ok, report.differences.iter().take(5).collect::<Vec<_>>(), begin.elapsed());
    Ok(())
}
