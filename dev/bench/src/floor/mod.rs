//! What is measured against: the thinnest proxy there can be, and a provider that costs next to nothing.

pub(crate) mod provider;
pub(crate) mod proxy;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sched::CpuSet;
use tokio::net::TcpListener;

use crate::machine;

/// One of them, in a process of its own.
pub(crate) struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    /// Starts this program anew with these arguments, on these cores; it says where it listens.
    pub(crate) fn start(arguments: &[&str], cores: &CpuSet) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("a pipe")?).read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("{arguments:?} said {line:?}"));
        let program = Self { address: address.inspect_err(|_| drop(child.kill()))?, child };
        machine::pin(program.pid(), cores)?;
        Ok(program)
    }

    /// `127.0.0.1:8080`
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has nothing to lose, and may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A free port, told on standard output.
async fn listen() -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}
