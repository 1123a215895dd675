//! The read models can be dropped and built again: the rows are the same, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use serde_json::Value;
use stack::local::StackOptions;
use tokio::task::JoinSet;

use super::system_kit::{HAIKU, World, blocking, chat, streamed, worked_example};

const READ_MODELS: [&str; 5] = ["credit_balances", "usage_logs", "usage_daily", "credit_transactions", "api_keys"];

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_gives_the_same_rows_and_nobody_notices() {
    let world = World::start();
    let account = a_life(&world).await;
    let busy = world.account("bench", "1000");
    let sql = of_account(&account);
    let before = all(&world, &sql).await;

    // Others' requests go on, and everybody looks at the rows all the time.
    let (done, looks, asked) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut meanwhile = JoinSet::new();
    for _ in 0..4 {
        let (client, key, done, asked) = (world.client(), busy.key.clone(), done.clone(), asked.clone());
        meanwhile.spawn(async move {
            while !done.load(Relaxed) {
                let answer = client.chat(&key, &chat(HAIKU, 20, "completion_tokens=20")).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                asked.fetch_add(1, Relaxed);
            }
        });
    }
    let look = world.look(&sql);
    let (counted, stop, same) = (looks.clone(), done.clone(), before.clone());
    meanwhile.spawn(async move {
        while !stop.load(Relaxed) {
            assert_eq!(look.all().await, same, "each query sees the whole old version, or the whole new one");
            counted.fetch_add(1, Relaxed);
        }
    });
    for version in 2..=3 {
        let (requests, seen) = (asked.load(Relaxed), looks.load(Relaxed));
        let going_on = async || (asked.load(Relaxed) > requests + 8 && looks.load(Relaxed) > seen + 2).then_some(());
        world.until("requests and queries go on", going_on).await;
        let report = rebuild(&world);
        assert_eq!((&report["version"], &report["replaced"]), (&version.into(), &(version - 1).into()), "{report}");
        assert_eq!(report["dropped"], true, "{report}");
    }
    done.store(true, Relaxed);
    while let Some(ended) = meanwhile.join_next().await {
        ended.expect("nobody noticed anything");
    }
    world.quiet().await;
    assert_eq!(all(&world, &sql).await, before);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn read_models_that_are_lost_come_back_from_the_events() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    let account = a_life(&world).await;
    let sql = READ_MODELS.map(|table| format!("select * from {table}")).to_vec();
    let before = all(&world, &sql).await;
    assert!(before.iter().all(|rows| !rows.is_empty()), "every table has rows: {before:?}");

    // All rows are gone.
    blocking(|| world.stack.projector().stop().expect("the projector stops"));
    let tables = "select unnest(projector.tables()) as name";
    let tables: Vec<_> = world
        .rows(tables)
        .await
        .iter()
        .map(|row| format!("read_models.{}", row["name"].as_str().unwrap_or("?")))
        .collect();
    let truncate = format!("truncate {}", tables.join(", "));
    blocking(|| world.stack.postgres().sql(&truncate).expect("the tables can be emptied"));
    assert!(all(&world, &sql).await.iter().all(Vec::is_empty));
    // Requests are authorized all the same: they never look there.
    let report = blocking(|| world.stack.cli_output("ledger", &["verify"]).expect("verify runs"));
    assert_eq!(report.status.code(), Some(1), "what is missing is found");
    let answer = world.client().get("/v1/credits", Some(&account.key)).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not_yet_available"));

    let report = rebuild(&world);
    assert_eq!((&report["version"], &report["dropped"]), (&2.into(), &true.into()), "{report}");
    assert_eq!(all(&world, &sql).await, before);

    // And the follower goes on from there.
    blocking(|| world.stack.projector().start().and_then(|()| world.stack.projector().wait_ready()))
        .expect("the projector comes back");
    let answer = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(world.usage_log(&answer.request_id()).await["credits_used"], "3.36");
    world.close().await;
}

/// An account to which everything has happened that the read models tell of.
async fn a_life(world: &World) -> stack::local::Account {
    let account = world.account("team", "100");
    for body in [
        worked_example(""),
        streamed(worked_example("")),
        chat(HAIKU, 100, "prompt_tokens=9 completion_tokens=99 cached_tokens=4 reasoning_tokens=7"),
        worked_example("status=500"),
        streamed(worked_example("cut_after=3")),
    ] {
        world.ask(&account.key, &body).await;
    }
    let mut left = world.open(&account.key, &streamed(worked_example("chunk_ms=200"))).await;
    left.next_contents(1).await;
    drop(left);
    world.ask(&account.sandbox_key, &worked_example("")).await;
    let id = &account.account_id;
    world.ledger(&[
        "credits",
        "adjust",
        "--account",
        id,
        "--credits",
        "-1.5",
        "--reference",
        "slip",
        "--why",
        "a slip",
    ]);
    let revoked = world.ledger(&["key", "issue", "--account", id, "--name", "short-lived"]);
    world.ledger(&["key", "revoke", revoked["key_id"].as_str().unwrap_or_default()]);
    world.ledger(&["account", "tier", "--account", id, "--tier", "bench"]);
    world.quiet().await;
    account
}

/// The rows of one account.
fn of_account(account: &stack::local::Account) -> Vec<String> {
    let of = |table: &str| format!("select * from {table} where account_id = '{}'", account.account_id);
    READ_MODELS.iter().map(|table| of(table)).collect()
}

async fn all(world: &World, sql: &[String]) -> Vec<Vec<Value>> {
    world.look(sql).all().await
}

fn rebuild(world: &World) -> Value {
    let told = blocking(|| world.stack.projector_cli(&["rebuild", "--json"]).expect("the rebuild succeeds"));
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
}
