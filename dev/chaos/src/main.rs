//! `make chaos`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use chaos::run::{Course, Outcome, credits, fresh_seed, options, run};
use chaos::{World, blocking};
use clap::Parser;

/// So many violations are shown; one bug often has many.
const SHOWN: usize = 20;

/// Runs a whole system under load while its processes are killed, paused and robbed by chance, and proves that the books are
/// right at the end.
#[derive(Debug, Parser)]
struct Options {
    /// Seconds under faults; recovery, quiet and proof come after.
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// Of faults and load; a fresh one otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Accounts beside the hot one.
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// Folder for data and logs; it must not exist. A temporary one otherwise. Removed when all is right.
    #[arg(long)]
    data: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(fresh_seed);
    let folder = options.data.clone();
    let folder =
        folder.unwrap_or_else(|| std::env::temp_dir().join(format!("layers-chaos-{seed}-{}", std::process::id())));
    println!("seed {seed}, {} s; data and logs are in {}", options.duration, folder.display());
    let course = Course { seed, length: Duration::from_secs(options.duration), others: options.accounts };
    let is_right = match carry_out(&course, folder.clone()).await {
        Ok(Outcome { table, violations }) => {
            println!("\n{table}");
            for violation in violations.iter().take(SHOWN) {
                println!("VIOLATION {violation}");
            }
            println!("{} violations", violations.len());
            violations.is_empty()
        }
        Err(error) => {
            println!("VIOLATION {error:?}");
            false
        }
    };
    if is_right {
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            eprintln!("{} cannot be removed: {error}", folder.display());
        }
        return ExitCode::SUCCESS;
    }
    println!(
        "again: make chaos DURATION={} SEED={seed}; data and logs are kept in {}",
        options.duration,
        folder.display()
    );
    ExitCode::FAILURE
}

async fn carry_out(course: &Course, folder: PathBuf) -> Result<Outcome> {
    let options = stack::local::StackOptions { kept: Some(folder), ..options() };
    let mut world = blocking(|| World::start(options, credits(course.others))).context("the system does not start")?;
    let outcome = run(&mut world, course).await;
    // Whatever it is, it is not made worse by a stop that takes long.
    drop(world);
    outcome
}
