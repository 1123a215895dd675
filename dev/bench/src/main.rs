//! Load on the real system, and what it comes to, beside what the machine can do at best. docs/benchmarks.md says how.

mod audit;
mod floor;
mod lab;
mod load;
mod machine;
mod pure;
mod report;
mod scenario;
mod system;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::Builder;

use self::load::Ask;
use self::machine::Cores;
use self::report::Report;
use self::scenario::{hot_account, latency, open_streams, overload, saturated, start};
use self::system::System;

/// The hot one and the others.
const ACCOUNTS: usize = 1_001;

/// A gateway's process allocates as ours does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the system on this machine, with optimized programs.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Rounds of each figure; the table has their median.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds a round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Only these figures; all of them otherwise.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Scenario>,
    /// A file for the table; `dev/bench/results/<date>.md` is what `make bench` says.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Other {
    /// Starts the whole system for a benchmark lab, and stays.
    Lab(lab::Options),
    /// The thinnest proxy.
    #[command(hide = true)]
    FloorProxy(floor::proxy::Options),
    /// The provider that gateway and floor ask.
    #[command(hide = true)]
    Provider,
    /// Runs one pure part of the hot path so many times.
    Part { part: pure::Part, times: u64 },
    /// Counts the instructions of all of them, and holds them to their budget.
    Check(pure::check::Options),
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Scenario {
    Whole,
    Stream,
    Latency,
    HotAccount,
    OpenStreams,
    Start,
    Overload,
}

/// How long it may take.
pub(crate) struct Effort {
    pub(crate) rounds: u32,
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
}

fn main() -> ExitCode {
    let outcome = match Options::parse() {
        Options { other: Some(Other::FloorProxy(options)), .. } => alone(floor::proxy::run(options)),
        Options { other: Some(Other::Provider), .. } => alone(floor::provider::run()),
        Options { other: Some(Other::Lab(options)), .. } => beside(|| Ok(()), lab::run(&options)),
        Options { other: Some(Other::Part { part, times }), .. } => pure::run(part, times),
        Options { other: Some(Other::Check(options)), .. } => pure::check::run(&options),
        // Looked at once: what this process may use is fewer as soon as it has given a core away.
        options => Cores::split().and_then(|cores| beside(|| machine::pin_this(&cores.rest), measure(&options, cores))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A process with a core of its own.
fn alone(run: impl Future<Output = Result<()>>) -> Result<()> {
    Builder::new_current_thread().enable_all().build()?.block_on(run)
}

/// The process that starts the others; its threads run where `first` puts them.
fn beside(first: impl FnOnce() -> Result<()>, run: impl Future<Output = Result<()>>) -> Result<()> {
    ensure!(!cfg!(debug_assertions), "only optimized programs are worth measuring: `make bench`");
    first()?;
    Builder::new_multi_thread().enable_all().build()?.block_on(run)
}

async fn measure(options: &Options, cores: Cores) -> Result<()> {
    let streams = open_streams::possible()?;
    let effort = Effort {
        rounds: options.rounds.max(1),
        length: Duration::from_secs(options.seconds.max(1)),
        warm_up: Duration::from_secs(2),
    };
    let wanted = |scenario| options.only.is_empty() || options.only.contains(&scenario);
    let system = tokio::task::block_in_place(|| System::start(ACCOUNTS, cores))?;
    let mut report = Report::default();
    let say = |what: &str| eprintln!("measuring: {what}");
    // Before anything has made it busy.
    if wanted(Scenario::Latency) {
        say("latency");
        report.0.extend(latency::run(&system, &effort).await?);
    }
    if wanted(Scenario::Start) {
        say("start");
        report.0.push(start::run(&system, &effort).await?);
    }
    if wanted(Scenario::OpenStreams) {
        say("open streams");
        report.0.push(open_streams::run(&system, streams).await?);
    }
    if wanted(Scenario::Stream) {
        say("streams");
        report.0.extend(saturated::run(&system, Ask::Stream, &effort).await?.0);
    }
    if wanted(Scenario::HotAccount) {
        say("a hot account");
        report.0.push(hot_account::run(&system, &effort).await?);
    }
    if wanted(Scenario::Whole) || wanted(Scenario::Overload) {
        say("whole answers");
        let (figures, capacity) = saturated::run(&system, Ask::Whole, &effort).await?;
        report.0.extend(figures);
        if wanted(Scenario::Overload) {
            say("overload");
            report.0.extend(overload::run(&system, capacity).await?);
        }
    }
    say("audit");
    let audit = audit::audit(&system).await?;
    tokio::task::block_in_place(|| system.stack.stop())?;

    let text = format!("{report}\nAudit: {audit}.\n");
    println!("{text}");
    options.out.as_deref().map_or(Ok(()), |out| keep(out, &text, &effort))
}

/// Writes the table down, with what it was measured on.
fn keep(out: &Path, table: &str, effort: &Effort) -> Result<()> {
    let commit = Command::new("git").args(["describe", "--always", "--dirty"]).output()?;
    let commit = String::from_utf8(commit.stdout)?;
    let processor = std::fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let text = format!(
        "# `make bench`, commit {}\n\n{} cores,{} Each figure is the median of {} rounds of {} s.\n\n{table}",
        commit.trim(),
        std::thread::available_parallelism()?,
        processor.trim_start_matches(['\t', ' ', ':']).to_owned() + ".",
        effort.rounds,
        effort.length.as_secs(),
    );
    std::fs::create_dir_all(out.parent().context("a folder")?)?;
    std::fs::write(out, text).with_context(|| out.display().to_string())
}
