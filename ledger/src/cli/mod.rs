//! The command line: for people by default, one JSON object with `--json`.

mod account;
mod ask;
mod books;
mod checkpoint;
mod correct;
mod credits;
mod emitters;
mod export;
mod key;
mod prices;
mod progress;
mod quarantine;
mod receipt;
mod reconcile;
mod replay;
mod rerate;
mod show;
mod statement;
mod trial_balance;
mod verify;

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
    /// Messages that could not be applied: shows them, replays them, gives them up.
    #[command(subcommand)]
    Quarantine(quarantine::QuarantineCommand),
    /// Each life of each process: what of it is appended, what is missing, what came twice, what was odd.
    Emitters(emitters::EmittersArgs),
    /// The history of an account, or of all, with the running balance; or what they had at a position or time.
    Replay(replay::ReplayArgs),
    /// An account's bill of a month, from its events.
    Statement(statement::StatementArgs),
    /// Double entry: debits and credits of every ledger account. Exit code 1 if they differ.
    TrialBalance(trial_balance::TrialBalanceArgs),
    /// Hashes and folds all events again and compares tree, checkpoints, every derived table and read model. Exit code 1 if
    /// anything differs.
    Verify(verify::VerifyArgs),
    /// Writes the log into a folder of files that prove themselves; goes on with one that is there.
    Export(export::ExportArgs),
    /// Proves such a folder, without a database.
    VerifyExport(export::VerifyExportArgs),
    /// Brings such a folder into an empty database.
    Import(export::ImportArgs),
    /// Checks a receipt (`GET /v1/receipts/{request_id}`) without any server. Exit code 1 if anything is wrong with it.
    VerifyReceipt(receipt::VerifyReceiptArgs),
    /// What the platform bears: billed beyond a hold, or used late by an account that could not pay.
    Losses(books::LossesArgs),
    /// What the same usage would have cost under other prices; compensates the difference with --apply.
    Rerate(rerate::RerateArgs),
    /// Compares our usages with the provider's own record; trues estimates up with --apply. Exit code 1 if anything differs.
    Reconcile(reconcile::ReconcileArgs),
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
        Command::Quarantine(command) => quarantine::run(command).await,
        Command::Emitters(args) => emitters::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Statement(args) => statement::run(args).await,
        Command::TrialBalance(args) => trial_balance::run(args).await,
        Command::Verify(args) => verify::verify(args).await,
        Command::Export(args) => export::export(args).await,
        Command::VerifyExport(args) => export::verify_export(args),
        Command::Import(args) => export::import(args).await,
        Command::VerifyReceipt(args) => receipt::verify(&args),
        Command::Losses(args) => books::losses(args).await,
        Command::Rerate(args) => rerate::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
    }
}
