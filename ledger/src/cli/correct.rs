use anyhow::{Context, Result};
use clap::Args;
use schemas::ids::AccountId;
use schemas::subject::Cell;
use sqlx::PgPool;

use crate::asker::Asker;
use crate::config::{DatabaseConfig, NatsConfig};
use crate::database;
use crate::range::Mark;

/// Which part of the log is looked at.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Part {
    /// From a position, or a time (RFC 3339), on.
    #[arg(long)]
    pub(super) from: Option<Mark>,
    /// Up to a position, or a time (RFC 3339), both included.
    #[arg(long)]
    pub(super) until: Option<Mark>,
    /// Only this account's usage.
    #[arg(long)]
    pub(super) account: Option<AccountId>,
}

/// What correcting takes beyond looking: without `--apply` nothing is asked of the ledger, and NATS need not be there.
#[derive(Args, Clone, Debug)]
pub(super) struct Correcting {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Carries the corrections out, as new events.
    #[arg(long, requires = "reason")]
    pub(super) apply: bool,
    /// Why; written into the events.
    #[arg(long)]
    reason: Option<String>,
    /// Who does it; written into the events.
    #[arg(long, env = "USER", default_value = "operator")]
    pub(super) by: String,
    /// NATS server; only with --apply.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// One stream, one ledger, one database.
    #[arg(long, env = "LAYERS_CELL", default_value = "local", value_parser = Cell::new)]
    cell: Cell,
}

impl Correcting {
    pub(super) fn pool(&self) -> Result<PgPool> {
        Ok(database::reading_pool(&database::options(&self.database.database_url)?))
    }

    /// Whom to ask, and why, if corrections are to be carried out.
    pub(super) async fn asker(&self) -> Result<Option<(Asker, String)>> {
        if !self.apply {
            return Ok(None);
        }
        let nats_url = self.nats_url.clone().context("--apply needs NATS_URL or --nats-url")?;
        let reason = self.reason.clone().context("--apply needs --reason")?;
        let asker = Asker::connect(&NatsConfig { nats_url, cell: self.cell.clone() }).await?;
        Ok(Some((asker, reason)))
    }
}
