//! What it costs to have many streams open.

use anyhow::{Context, Result, ensure};
use http_body_util::BodyExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

use crate::load::{Ask, Outcome};
use crate::machine;
use crate::report::{Figure, Goal};
use crate::system::{System, Who};

/// As many as the goal names.
const STREAMS: u64 = 10_000;
/// Opened at a time.
const AT_A_TIME: u64 = 100;
/// Files of the gateway beside its streams.
const OTHER_FILES: u64 = 500;
const MEGABYTE: f64 = 1_000_000.0;

/// How many streams can be open: the gateway needs two files for each. Raises what this process and those that it starts may
/// open, as far as it may.
pub(crate) fn possible() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = 2 * STREAMS + OTHER_FILES;
    if setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted)).is_ok() {
        return Ok(STREAMS);
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let possible = hard.saturating_sub(OTHER_FILES) / 2;
    eprintln!("only {possible} streams can be open: {hard} files are allowed (ulimit -Hn)");
    Ok(possible)
}

/// Opens them, looks at the gateway's memory, and lets them end.
pub(crate) async fn run(system: &System, streams: u64) -> Result<Figure> {
    let load = system.load_by(Who::Layers, Ask::WaitingStream, system.keys.clone());
    let pid = system.measured_pid(Who::Layers)?;
    let before = machine::memory(pid)? as f64 / MEGABYTE;
    let (head, _) = system.positions()?;
    let mut open = Vec::new();
    for first in (0..streams).step_by(AT_A_TIME as usize) {
        let mut opening = JoinSet::new();
        for number in first..(first + AT_A_TIME).min(streams) {
            let (load, key) = (load.clone(), load.keys[number as usize % load.keys.len()].clone());
            opening.spawn(async move {
                let mut connection = load.connect().await?;
                let mut response = connection.begin(&key).await?;
                ensure!(response.status() == 200, "a stream is answered {}", response.status());
                response.body_mut().frame().await.context("a first chunk")??;
                Ok((connection, response))
            });
        }
        while let Some(one) = opening.join_next().await {
            open.push(one??);
        }
    }
    let memory = machine::memory(pid)? as f64 / MEGABYTE;
    system.go().await?;
    let mut ending = JoinSet::new();
    for (connection, response) in open {
        ending.spawn(async move { connection.end(response).await });
    }
    while let Some(one) = ending.join_next().await {
        ensure!(one?? == Outcome::Complete, "an open stream was refused");
    }
    system.answered(Who::Layers, streams);
    system.level(head, streams).await?;
    Ok(Figure {
        what: "gateway's memory with 10,000 open streams",
        ours: format!("{memory:.0} MB, {streams} streams"),
        floor: format!("{before:.0} MB before them"),
        // As many as there could be stand for all.
        value: before + (memory - before) * STREAMS as f64 / streams as f64,
        unit: " MB",
        goal: Goal::AtMost(400.0),
    })
}
