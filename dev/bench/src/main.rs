//! Load on the real system, and what it comes to. Each scenario ends with an audit: what was answered is what is charged.

mod audit;
mod closed_loop;
mod hot_account;
mod lab;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

/// Measures the system on this machine, with optimized programs.
#[derive(Parser)]
enum Scenario {
    /// The throughput of one account against that of a thousand, at one gateway.
    HotAccount(hot_account::Options),
    /// Starts the whole system for a benchmark lab, and stays.
    Lab(lab::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Scenario::parse() {
        Scenario::HotAccount(options) => measured(hot_account::run(&options)).await,
        Scenario::Lab(options) => measured(lab::run(&options)).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}

async fn measured(scenario: impl Future<Output = Result<()>>) -> Result<()> {
    ensure!(!cfg!(debug_assertions), "only optimized programs are worth measuring: `make bench`");
    scenario.await
}
