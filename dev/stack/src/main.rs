//! The local stack as a program; `make` calls it.

use std::process::ExitCode;

use clap::Parser;
use stack::run::{Data, RunOptions};

/// Private servers for development: nothing of the system is touched.
#[derive(Parser)]
enum Command {
    /// Run the whole system in the foreground until Ctrl-C.
    Run(RunOptions),
    /// Find or install nats-server, PostgreSQL and Chromium.
    Setup,
    /// Build the release before this one, from history, for the tests of a rolling upgrade.
    PreviousRelease,
    /// Write what the database says about the queries in the code to `.sqlx`.
    PrepareSqlx {
        /// Only compare, and fail when something differs.
        #[arg(long)]
        check: bool,
        /// Only the queries of this crate, and remove none.
        #[arg(short, long = "package", conflicts_with = "check")]
        packages: Vec<String>,
    },
    /// Remove the data of `run`.
    CleanData(Data),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Run(options) => stack::run::run(&options),
        Command::Setup => stack::servers::install().and_then(|()| stack::browser::install()),
        Command::PreviousRelease => previous_release(),
        Command::PrepareSqlx { check, packages } => stack::prepare_sqlx::prepare(check, &packages),
        Command::CleanData(data) => stack::run::clean_data(&data),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Without history all tests but those of the upgrade can run: that is a warning here, and a failure there.
fn previous_release() -> anyhow::Result<()> {
    match stack::release::build() {
        Err(error) if stack::release::lacks_history() => {
            eprintln!("warning: {error:#}");
            Ok(())
        }
        built => built,
    }
}
