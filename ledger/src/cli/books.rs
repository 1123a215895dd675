use std::io::Write;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::Args;
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use sqlx::ConnectOptions;

use crate::config::DatabaseConfig;
use crate::database;
use crate::log::Filter;

#[derive(Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Whose history.
    #[arg(long)]
    account: AccountId,
    /// Up to a position, or a time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// One JSON object a line, with the event as it was published.
    #[arg(long)]
    json: bool,
}

pub(super) async fn replay(args: ReplayArgs) -> Result<i32> {
    let mut filter = Filter::default();
    if let Some(until) = &args.until {
        match until.parse::<u64>() {
            Ok(position) => filter.until_position = Some(position),
            Err(_) => {
                let time: DateTime<Utc> = until.parse().context("--until takes a position or an RFC 3339 time")?;
                filter.until_time = Some(time);
            }
        }
    }
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let account = crate::replay::replay(&mut db, args.account, filter, args.json, &mut out).await?;
    let account = account.with_context(|| format!("there is no account {} in these events", args.account))?;
    if !args.json {
        writeln!(
            out,
            "\nbought {}  charged {}  balance {}  held {}  available {}",
            account.bought,
            account.charged,
            account.balance()?,
            account.held,
            account.available()?
        )?;
    }
    out.flush()?;
    Ok(0)
}

#[derive(Args)]
pub(super) struct LossesArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn losses(args: LossesArgs) -> Result<i32> {
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let losses = crate::losses::losses(&mut db).await?;
    let mut live = losses.iter().filter(|loss| loss.livemode);
    let total = live.try_fold(Nanocredits::ZERO, |sum, loss| sum.plus(loss.lost))?;
    if args.json {
        println!("{}", serde_json::json!({ "total": total, "losses": losses }));
        return Ok(0);
    }
    for loss in &losses {
        let request = loss.request_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let mode = if loss.livemode { "live" } else { "sandbox" };
        println!(
            "{:>9}  {request:36}  {}  {mode:7}  {:>20}  {}",
            loss.position,
            loss.account_id,
            loss.lost.to_string(),
            loss.cause
        );
    }
    println!("{} losses; {total} credits of live accounts in all", losses.len());
    Ok(0)
}
