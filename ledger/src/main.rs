//! The ledger's program.

use std::io::IsTerminal;

use clap::Parser;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() {
    let cli = ledger::cli::Cli::parse();
    let quiet = if cli.is_service() { "info,async_nats=warn" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi).init();
    let code = match ledger::cli::run(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ledger: {error:#}");
            1
        }
    };
    std::process::exit(code);
}
