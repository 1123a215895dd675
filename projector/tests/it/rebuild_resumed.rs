//! A rebuild that is killed (SIGKILL) is gone on with where it was, wherever that was.

use std::process::{Child, Command, Output, Stdio};

use schemas::tier::Tier;
use serde_json::Value;
use sqlx::Connection;

use crate::kit::{Story, World, credits, until};

/// More than one batch of a rebuild, so that there is a checkpoint half-way.
const REQUESTS: usize = 3_600;
const BATCH: i64 = 10_000;

async fn busy_world() -> (World, Story) {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    for _ in 0..REQUESTS {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    (world, story)
}

fn program(world: &World, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
    command.args(["rebuild", "--json", "--progress", "none"]).args(args).env("DATABASE_URL", world.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn killed(mut child: Child) {
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

/// Runs it to its end, once the killed one's session is over.
async fn rebuilt(world: &World, args: &[&str]) -> Value {
    loop {
        let Output { status, stdout, stderr } = program(world, args).output().unwrap();
        let complaint = String::from_utf8_lossy(&stderr);
        if complaint.contains("another rebuild is running") {
            tokio::task::yield_now().await;
            continue;
        }
        assert!(status.success(), "{complaint}");
        return serde_json::from_slice(&stdout).unwrap();
    }
}

/// How far the version is that is not live.
fn building(world: &World) -> i64 {
    world.sql("select coalesce(max(position), 0) from projector.projection where not live").parse().unwrap()
}

/// Whether a rebuild waits for the live version's row.
fn waits(world: &World) -> bool {
    world.sql("select count(*) from pg_stat_activity where application_name = 'projector' and wait_event_type = 'Lock'")
        == "1"
}

fn nothing_is_left(world: &World) {
    assert_eq!(world.sql("select count(*) from projector.projection"), "1");
    assert_eq!(world.sql("select count(*) from pg_class where relname ~ '^usage_daily_[0-9]+$'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_building_and_before_the_swap_it_goes_on() {
    let (world, _) = busy_world().await;
    let right = world.checksums();
    for (args, version) in [(&[][..], "2"), (&["--only", "usage_daily"][..], "2")] {
        // Wrong, so that something must be replaced.
        world.sql("update read_models.usage_by_day set requests = requests + 1");
        let mut owner = world.connect_named("test").await;
        let mut held = owner.begin().await.unwrap();
        sqlx::query("select from projector.projection where live for update").execute(&mut *held).await.unwrap();

        let child = program(&world, args).spawn().unwrap();
        until(|| building(&world) >= BATCH).await;
        killed(child);
        // Again, as soon as the session of the killed one is over: now up to the swap, which waits for the lock.
        let mut child = None;
        until(|| {
            let running = child.get_or_insert_with(|| program(&world, args).spawn().unwrap());
            if running.try_wait().unwrap().is_some() {
                child = None;
            }
            waits(&world)
        })
        .await;
        assert!(building(&world) > 3 * REQUESTS as i64);
        killed(child.unwrap());
        held.rollback().await.unwrap();

        let report = rebuilt(&world, args).await;
        assert!(report["resumed_at"].as_i64().unwrap() > 3 * REQUESTS as i64, "{report}");
        assert_eq!(report["comparison"]["same"], false, "{report}");
        assert_eq!(world.checksums(), right);
        assert_eq!(world.sql("select version from public.projection"), version);
        nothing_is_left(&world);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_the_swap_it_leaves_what_the_next_one_drops() {
    let (world, _) = busy_world().await;
    let right = world.checksums();
    let mut analyst = world.connect_as("layers_analyst").await;
    let mut reading = analyst.begin().await.unwrap();
    sqlx::query("select from usage_daily").execute(&mut *reading).await.unwrap();
    let child = program(&world, &[]).spawn().unwrap();
    until(|| world.sql("select version from public.projection") == "2").await;
    killed(child);
    assert_eq!(world.checksums(), right);
    reading.rollback().await.unwrap();
    // The version that was live is not gone on with: it is what others are compared with.
    let report = rebuilt(&world, &[]).await;
    assert_eq!((&report["resumed_at"], &report["version"], &report["replaced"]), (&0.into(), &3.into(), &2.into()));
    assert_eq!(world.checksums(), right);
    nothing_is_left(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_or_another_question_began_is_dropped() {
    let (world, _) = busy_world().await;
    let right = world.checksums();
    let half_of_one = async |args: &[&str]| {
        // Wrong, so that it cannot end before it has the lock.
        world.sql("update read_models.usage_by_day set requests = requests + 1");
        let child = program(&world, args).spawn().unwrap();
        until(|| building(&world) >= BATCH).await;
        killed(child);
    };
    let mut owner = world.connect_named("test").await;
    let mut held = owner.begin().await.unwrap();
    sqlx::query("select from projector.projection where live for update").execute(&mut *held).await.unwrap();
    half_of_one(&["--only", "usage_daily"]).await;
    held.rollback().await.unwrap();
    assert_eq!(rebuilt(&world, &["--only", "journal"]).await["resumed_at"], 0);
    world.sql("update read_models.usage_by_day set requests = requests - 1");

    for spoil in [
        "update projector.projection set program = 'another ' || program where not live",
        "alter table read_models.usage_by_day add column spoiled timestamptz",
        "update projector.projection set as_of = as_of + interval '1 second' where not live",
        "",
    ] {
        let mut held = owner.begin().await.unwrap();
        sqlx::query("select from projector.projection where live for update").execute(&mut *held).await.unwrap();
        half_of_one(&["--only", "usage_daily"]).await;
        held.rollback().await.unwrap();
        world.sql(spoil);
        let args: &[&str] =
            if spoil.is_empty() { &["--only", "usage_daily", "--from-start"] } else { &["--only", "usage_daily"] };
        assert_eq!(rebuilt(&world, args).await["resumed_at"], 0, "{spoil}");
        world.sql("alter table read_models.usage_by_day drop column if exists spoiled");
    }
    assert_eq!(world.checksums(), right);
    nothing_is_left(&world);
}
