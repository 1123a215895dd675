//! The whole system as one entry of a benchmark lab: started in the foreground, with the gateway alone on the cores that the lab
//! gave us, and everything else on the others, where the lab's load and upstream are too.

use anyhow::{Context, Result};
use stack::local::{Provider, Stack, StackOptions};
use tokio::signal::unix::{SignalKind, signal};

use crate::machine::{self, Cores};

/// More than any run spends.
const CREDITS: i64 = 1_000_000;

/// Where it listens, and whom it asks.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Port of the gateway.
    #[arg(long)]
    port: u16,
    /// The provider, with `/v1`.
    #[arg(long)]
    upstream: String,
    /// The secret of the key that the lab sends.
    #[arg(long)]
    key: String,
}

/// Runs until it is told to stop.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let stack = tokio::task::block_in_place(|| start(options))?;
    println!("the lab's gateway is {}", stack.gateway_url(0));
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    tokio::task::block_in_place(|| stack.stop())
}

fn start(options: &Options) -> Result<Stack> {
    let cores = Cores::given()?;
    // Whatever is started from here on is there too.
    machine::pin_this(&cores.rest)?;
    let provider = Provider { base_url: Some(options.upstream.clone()), api_key: "vck_lab".to_owned() };
    let mut stack = Stack::start_with(StackOptions {
        gateways: 0,
        first_port: Some(options.port),
        fsync: true,
        provider: Some(provider),
        ..StackOptions::default()
    })?;
    cores.on_measured(|| stack.add_gateway())?;
    let account = stack.open_accounts("bench", &[CREDITS])?.pop().context("an account")?;
    stack.issue_known_key(&account, &options.key)?;
    Ok(stack)
}
