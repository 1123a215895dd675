//! The program itself: what it prints, what it serves, and that kill -9 costs nothing.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use schemas::tier::Tier;
use stack::http;

use crate::kit::{Shelf, Story, World, credits, until};

struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn run(world: &World) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_projector"))
            .arg("run")
            .env("DATABASE_URL", world.url())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url }
    }

    fn get(&self, path: &str) -> (u16, String) {
        http::get(&format!("{}{path}", self.url), Duration::from_secs(5)).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_gives_the_same_rows() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    for _ in 0..4_000 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    let mut reached = 0;
    for _ in 0..4 {
        let _program = Program::run(&world);
        until(|| world.position() > reached).await;
        reached = world.position();
    }
    let program = Program::run(&world);
    world.caught_up().await;
    drop(program);
    let shelf = Shelf::of(&story.events, usize::MAX);
    let [bought, charged, held, _] = shelf.accounts[&account.0];
    assert_eq!(
        world.sql("select bought * 1e9, charged * 1e9, held * 1e9 from credit_balances").replace(".000000000", ""),
        format!("{bought}|{charged}|{held}")
    );
    assert_eq!(world.sql("select count(*), count(distinct request_id) from usage_logs"), "4000|4000");
    assert_eq!(world.sql("select sum(requests) from usage_daily"), "4000");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_say_how_far_it_is() {
    let world = World::new();
    let story = Story::new();
    world.append(&story.events).await;
    let program = Program::run(&world);
    world.caught_up().await;
    until(|| program.get("/health").0 == 200).await;
    until(|| {
        let health: serde_json::Value = serde_json::from_str(&program.get("/health").1).unwrap();
        health["status"] == "following"
            && health["position"] == 1
            && health["lag_events"] == 0
            && health["lag_seconds"] == 0.0
    })
    .await;
    let (status, metrics) = program.get("/metrics");
    assert_eq!(status, 200);
    for line in
        ["projector_active 1", "projector_position 1", "projector_lag_events 0", "projector_quarantined_events 0"]
    {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
    world.postgres.kill();
    until(|| program.get("/health").0 == 503).await;
}
