//! The ledger's program.

use clap::Parser;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let code = match ledger::cli::run(ledger::cli::Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("ledger: {error:#}");
            1
        }
    };
    std::process::exit(code);
}
