//! Private NATS and PostgreSQL servers: own data folder, free port on 127.0.0.1, no system service touched.

mod lock;
mod nats;
mod nats_binary;
mod nats_cluster;
pub(crate) mod packages;
mod postgres;
mod postgres_binaries;
mod postgres_data;

pub use lock::Lock;
pub use nats::{NatsOptions, NatsServer};
pub use nats_binary::nats_server;
pub use nats_cluster::NatsCluster;
pub use postgres::{Postgres, PostgresOptions};
pub use postgres_binaries::{PostgresBinaries, postgres_binaries};

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Finds or installs all servers, so that the first start later has nothing to wait for.
///
/// # Errors
/// When one is missing and cannot be installed; the message says what to do.
pub fn install() -> Result<()> {
    println!("nats-server: {}", nats_server()?.display());
    println!("PostgreSQL:  {}", postgres_binaries()?.dir.display());
    Ok(())
}

/// Where the data of a PostgreSQL really lies that was asked to keep it in `wanted`.
///
/// # Errors
/// When its user cannot be looked up.
pub fn postgres_data_dir(wanted: &Path) -> Result<std::path::PathBuf> {
    Ok(crate::place::reachable_by(postgres_data::user_id()?, wanted))
}

/// Runs a command to its end and gives its output; its error output is in the error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot execute {:?}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = if said.trim().is_empty() { String::from_utf8_lossy(&output.stdout) } else { said };
    bail!("{:?} failed ({}): {}", command.get_program(), output.status, said.trim())
}

/// A copy of a folder with owners, modes and times.
pub(crate) fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-a").arg(from).arg(to)).map(|_| ())
}

/// The first program of this name on PATH.
pub(crate) fn on_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}
