//! What a test starts dies with it, also when the test is killed and no destructor runs.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use stack::place::RunDir;
use stack::servers::{NatsServer, Postgres};

/// Not a test: the life that the test below ends.
#[test]
#[ignore = "started by the test below"]
fn a_life_to_be_killed() -> Result<()> {
    let (nats, postgres) = (NatsServer::start()?, Postgres::start()?);
    println!("\nstarted {} {}", nats.pid().context("nats")?, postgres.pid().context("postgres")?);
    loop {
        std::thread::park();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn servers_die_with_a_killed_test() -> Result<()> {
    // What it leaves behind lies here, and goes away with this test.
    let left = RunDir::temporary("children")?;
    let mut life = Command::new(std::env::current_exe()?)
        .env("TMPDIR", left.path())
        .args(["--exact", "children::a_life_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = BufReader::new(life.stdout.take().context("no output")?);
    let line = output.lines().map_while(Result::ok).find(|line| line.starts_with("started "));
    life.kill()?;
    life.wait()?;
    let pids: Vec<String> = line.context("it did not start")?.split(' ').skip(1).map(str::to_owned).collect();
    ensure!(pids.len() == 2, "two servers were started");
    let deadline = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|pid| runs(pid)) {
        ensure!(Instant::now() < deadline, "{pids:?} live on");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A process that has ended but was not yet collected by its new parent does not run.
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
