//! The command line: for people by default, one JSON object with `--json`.

mod account;
mod ask;
mod books;
mod checkpoint;
mod credits;
mod key;
mod prices;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::config::ServeConfig;

/// The ledger of Layers: the source of truth of every credit.
#[derive(Parser)]
#[command(name = "ledger", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

impl Cli {
    /// Whether it is to run until it is stopped.
    pub fn is_service(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }
}

#[derive(Subcommand)]
enum Command {
    /// Runs the ledger: reads the stream, answers commands, appends. A second one stands by.
    Serve(ServeConfig),
    /// Opens accounts and changes their tier.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Adds and adjusts credits.
    #[command(subcommand)]
    Credits(credits::CreditsCommand),
    /// Issues and revokes API keys.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Shows and publishes prices.
    #[command(subcommand)]
    Prices(prices::PricesCommand),
    /// The signed form of the log: keys for it, and how it is now.
    #[command(subcommand)]
    Checkpoint(checkpoint::CheckpointCommand),
    /// Folds all events again and compares every derived table and read model. Exit code 1 if anything differs.
    Verify(books::VerifyArgs),
    /// An account's history, one line an event, with the running balance.
    Replay(books::ReplayArgs),
    /// What the platform bears: billed beyond a hold, or used late by an account that could not pay.
    Losses(books::LossesArgs),
}

/// Runs what the command line says. Returns the exit code.
pub async fn run(cli: Cli) -> Result<i32> {
    match cli.command {
        Command::Serve(config) => crate::serve::serve(config).await.map(|()| 0),
        Command::Account(command) => account::run(command).await,
        Command::Credits(command) => credits::run(command).await,
        Command::Key(command) => key::run(command).await,
        Command::Prices(command) => prices::run(command).await,
        Command::Checkpoint(command) => checkpoint::run(command).await,
        Command::Verify(args) => books::verify(args).await,
        Command::Replay(args) => books::replay(args).await,
        Command::Losses(args) => books::losses(args).await,
    }
}
