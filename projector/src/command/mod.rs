//! What can be asked of a projector on its command line.

mod export;
mod grant;
mod lag;
mod profile;
mod progress;
mod rebuild;
mod run;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use sqlx::postgres::PgConnectOptions;

/// Builds the tables that people query from the ledger's events.
#[derive(Debug, Parser)]
#[command(name = "projector", version)]
pub(crate) struct Command {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    database: Database,
}

#[derive(Debug, Args)]
struct Database {
    /// The database, as the role layers_projector.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, default_value = "")]
    database_url: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Follows the log until it is stopped. Several may run: one is active, the others stand by.
    Run(run::Run),
    /// Builds all read models, or one, again beside the live ones, compares, and swaps. Queries go on; after a kill it goes on where it was.
    Rebuild(rebuild::Rebuild),
    /// Says how far behind the read models are.
    Lag(lag::Lag),
    /// Writes usage as files: Parquet, CSV or lines of JSON.
    #[command(subcommand)]
    Export(export::Export),
    /// Makes a role of the database that sees one account through the same views; again: another password.
    GrantAccount(grant::GrantAccount),
    /// Takes that role away.
    RevokeAccount(grant::RevokeAccount),
    /// Names and addresses of people, which no event ever carries.
    #[command(subcommand)]
    Profile(profile::Profile),
}

impl Command {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let options = self.database.options()?;
        match self.what {
            What::Run(run) => run.run(&options).await,
            What::Rebuild(rebuild) => rebuild.run(&options).await,
            What::Lag(lag) => lag.run(&options).await,
            What::Export(export) => export.run(&options).await,
            What::GrantAccount(grant) => grant.run(&options).await,
            What::RevokeAccount(revoke) => revoke.run(&options).await,
            What::Profile(profile) => profile.run(&options).await,
        }
    }
}

impl Database {
    fn options(&self) -> Result<PgConnectOptions> {
        anyhow::ensure!(!self.database_url.is_empty(), "DATABASE_URL is not set");
        projector::database::options(&self.database_url).context("DATABASE_URL")
    }
}

/// One JSON object, for programs.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
