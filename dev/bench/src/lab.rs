//! The whole system as one entry of a benchmark lab: started in the foreground, with the gateway alone on the cores that the lab
//! gave us, and everything else on the others, where the lab's load and upstream are too.

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use stack::local::{Provider, Stack, StackOptions};
use tokio::signal::unix::{SignalKind, signal};

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
    let given = sched_getaffinity(Pid::from_raw(0))?;
    let rest = all_but(&given)?;
    // Whatever is started from here on is there too.
    sched_setaffinity(Pid::from_raw(0), &rest)?;
    let provider = Provider { base_url: Some(options.upstream.clone()), api_key: "vck_lab".to_owned() };
    let stack = Stack::start_with(StackOptions {
        first_port: Some(options.port),
        fsync: true,
        provider: Some(provider),
        ..StackOptions::default()
    })?;
    let pid = stack.gateway(0).pid().context("the gateway runs")?;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(thread), &given)?;
    }
    let account = stack.open_accounts("bench", &[CREDITS])?.pop().context("an account")?;
    stack.issue_known_key(&account, &options.key)?;
    Ok(stack)
}

/// The cores that were not given; all of them if there are no others.
fn all_but(given: &CpuSet) -> Result<CpuSet> {
    let mut rest = CpuSet::new();
    let mut any = false;
    for core in 0..std::fs::read_to_string("/proc/stat")?.lines().filter(|line| is_core(line)).count() {
        if !given.is_set(core)? {
            rest.set(core)?;
            any = true;
        }
    }
    Ok(if any { rest } else { *given })
}

/// `cpu0 …`, not the sum `cpu  …`.
fn is_core(line: &str) -> bool {
    line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}
