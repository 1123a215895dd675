//! What it costs to prove books, beside the least that a fold of the same bytes can cost: all in one run on one machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use ledger::verify::{Fold, Page, Read, Report};
use serde::Deserialize;

use crate::floor;

/// The bare fold: events and how long they took.
///
/// # Errors
/// When the file cannot be read.
pub fn bare_fold(file: &Path) -> Result<(u64, Duration)> {
    let begin = Instant::now();
    let (events, sum) = floor::fold(file)?;
    // The sum is used, so that nothing of the work can be left out.
    ensure!(sum != 0, "the events move nothing");
    Ok((events, begin.elapsed()))
}

/// Hash and fold, as verification does it: one thread reads, hashes and decodes, the other applies the rules of the books.
///
/// # Errors
/// When the file cannot be read, or an event cannot be true.
pub fn hash_and_fold(file: &Path) -> Result<(u64, Duration)> {
    let begin = Instant::now();
    let (pages, taken) = sync_channel(3);
    let file = file.to_owned();
    let reader = std::thread::spawn(move || {
        let mut position = 0;
        floor::read(&file, |bytes| {
            let mut page = Vec::with_capacity(bytes.len());
            for bytes in bytes {
                position += 1;
                page.push(Read::new(position, DateTime::<Utc>::UNIX_EPOCH, bytes));
            }
            pages.send(page).context("nobody folds any more")
        })
    });
    let (mut fold, mut report) = (Fold::default(), Report::default());
    fold.without_rows = true;
    let mut tree = schemas::merkle::Frontier::default();
    for page in taken {
        let mut touched = Page::default();
        for read in &page {
            fold.take(read, &mut touched, &mut report);
        }
        tree.extend(page.iter().map(|read| read.leaf));
        fold.forget_ended(&touched);
    }
    reader.join().map_err(|_| anyhow::anyhow!("the reader has failed"))??;
    ensure!(report.difference_count == 0, "an event cannot be true: {:?}", report.differences.first());
    Ok((tree.size(), begin.elapsed()))
}

/// What `ledger verify --json` says.
#[derive(Debug, Deserialize)]
#[allow(missing_docs)]
pub struct Verified {
    pub ok: bool,
    pub events: u64,
    pub seconds: f64,
    pub peak_memory_kib: Option<u64>,
    pub read_models_position: Option<u64>,
}

/// Runs the program's own verification.
///
/// # Errors
/// When it does not run; what it found is in what it says.
pub fn verify(url: &str, key: &str) -> Result<Verified> {
    let done = Command::new(stack::place::program("ledger")?)
        .args(["verify", "--json", "--key", key])
        .env("DATABASE_URL", url)
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&done.stdout).context("ledger verify said nothing that can be read")
}

/// Runs a program to its end, its output thrown away.
///
/// # Errors
/// When it fails.
pub fn run(program: &str, args: &[&str], url: &str) -> Result<Duration> {
    let begin = Instant::now();
    let status = Command::new(stack::place::program(program)?)
        .args(args)
        .env("DATABASE_URL", url)
        .stdout(Stdio::null())
        .status()?;
    ensure!(status.success(), "{program} {} failed", args.join(" "));
    Ok(begin.elapsed())
}
