//! Instructions of each part of the hot path, counted by valgrind and held to a budget that is committed. Instructions are
//! the same on a busy machine and an idle one, so a slower hot path is noticed where a clock would only shrug.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::Part;

/// More than so much of a budget is a regression.
const TOLERANCE: f64 = 1.10;
/// A part is run so many times and twice as many times: the difference is without the start of the program.
const TIMES: u64 = 500;

/// Which budget.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Instructions a run, by part.
    #[arg(long)]
    budget: PathBuf,
    /// Writes today's counts down as the new budget.
    #[arg(long)]
    write: bool,
}

/// Counts, prints, and fails where a part exceeds its budget by more than a tenth.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(!cfg!(debug_assertions), "only optimized programs are worth measuring: `make bench-check`");
    let mut counted = BTreeMap::new();
    for part in Part::value_variants() {
        counted.insert(*part, instructions(*part)?);
    }
    if options.write {
        std::fs::write(&options.budget, serde_json::to_string_pretty(&counted)? + "\n")?;
        println!("{} is written", options.budget.display());
        return Ok(());
    }
    let budget = std::fs::read(&options.budget).with_context(|| options.budget.display().to_string())?;
    let budget: BTreeMap<Part, u64> = serde_json::from_slice(&budget)?;
    println!("{:22} {:>12} {:>12} {:>8}", "instructions a run", "budget", "now", "change");
    let mut over = Vec::new();
    for (part, now) in counted {
        let name = name(part);
        let allowed = *budget.get(&part).with_context(|| format!("{name} has no budget"))?;
        let change = now as f64 / allowed as f64;
        println!("{name:22} {allowed:>12} {now:>12} {:>+7.1}%", 100.0 * (change - 1.0));
        if change > TOLERANCE {
            over.push(format!(
                "{name} takes {now} instructions, {:.0} % more than its {allowed}",
                100.0 * (change - 1.0)
            ));
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    bail!("the hot path became slower: {}. If that is meant: make bench-budget", over.join("; "))
}

fn name(part: Part) -> String {
    part.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn instructions(part: Part) -> Result<u64> {
    let (once, twice) = (collected(part, TIMES)?, collected(part, 2 * TIMES)?);
    Ok(twice.saturating_sub(once) / TIMES)
}

/// All instructions of a process that runs the part so many times.
fn collected(part: Part, times: u64) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    let output = command.args(["part", &name(part), &times.to_string()]).output().context("valgrind cannot be run")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} under valgrind: {told}", name(part));
    let line = told.lines().find_map(|line| line.split_once("Collected : "));
    let (_, count) = line.with_context(|| format!("valgrind counted nothing: {told}"))?;
    Ok(count.trim().parse()?)
}
