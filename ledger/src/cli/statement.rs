use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use schemas::ids::AccountId;
use sqlx::ConnectOptions;

use crate::config::DatabaseConfig;
use crate::database;
use crate::progress::Progress;
use crate::statement::{Month, StatementFormat, statement};

#[derive(Args)]
pub(super) struct StatementArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Whose.
    #[arg(long)]
    account: AccountId,
    /// A calendar month, UTC: 2026-11.
    #[arg(long)]
    month: Month,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: StatementFormat,
    /// The same as `--format json`.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

pub(super) async fn run(args: StatementArgs) -> Result<i32> {
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let bill = statement(&mut db, args.account, args.month, |until| Progress::new(until, false)).await?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    bill.write(if args.json { StatementFormat::Json } else { args.format }, &mut out)?;
    out.flush()?;
    Ok(0)
}
