use std::io::Write;

use anyhow::{Context, Result};
use clap::Args;
use schemas::books::postings;
use sqlx::ConnectOptions;

use crate::config::DatabaseConfig;
use crate::database;
use crate::format::FormatArgs;
use crate::place::reached;
use crate::progress::Progress;
use crate::range::Mark;
use crate::replay::replay;
use crate::trial_balance::TrialBalance;

#[derive(Args)]
pub(super) struct TrialBalanceArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Up to a position, or a time (RFC 3339).
    #[arg(long)]
    until: Option<Mark>,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: TrialBalanceArgs) -> Result<i32> {
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let reached = reached(&mut db, args.until).await?;
    let mut progress = Progress::new(reached.position, false);
    let mut trial = TrialBalance::default();
    let folding = replay(&mut db, None, reached.position, &mut progress, |logged, moved, _| {
        trial.post(logged.event.header.livemode, &postings(moved)?);
        Ok(())
    })
    .await?;
    let shown = trial.close(folding.books(), reached);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    shown.write(args.format.format(), &mut out)?;
    out.flush()?;
    Ok(i32::from(!shown.balanced))
}
