use anyhow::{Context, Result};
use clap::Args;
use schemas::money::Nanocredits;
use sqlx::ConnectOptions;

use crate::config::DatabaseConfig;
use crate::database;

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
