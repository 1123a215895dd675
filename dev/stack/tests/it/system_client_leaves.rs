//! A client that leaves is charged for what was done for it, and no more is done.

use std::time::Duration;

use serde_json::Value;
use stack::local::Account;
use tokio::task::JoinSet;

use super::system_kit::{World, streamed, worked_example};

/// The provider is left at once; this is a loaded machine's at once, and a fraction of what the answers still take.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_is_charged_for_what_was_done() {
    let world = World::start();
    in_the_middle_of_a_stream(&world).await;
    before_the_first_token(&world).await;
    before_a_whole_answer(&world).await;
    world.close().await;
}

/// Charged are the input and what was delivered, by estimate; the provider stops.
async fn in_the_middle_of_a_stream(world: &World) {
    let account = world.account("team", "10");
    // 40 chunks of 100 bytes, which are 25 tokens; four seconds in all.
    let body = streamed(worked_example("chunks=40 chunk_ms=100"));
    let mut stream = world.open(&account.key, &body).await;
    let request_id = stream.request_id();
    stream.next_contents(3).await;
    drop(stream);

    let billed = cancelled(world, &request_id).await;
    let delivered = billed["delivered_chunks"].as_u64().expect("a number of chunks");
    assert!((3..40).contains(&delivered), "{billed}");
    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["status"], &row["usage_source"]), (&"cancelled".into(), &"estimated".into()), "{row}");
    assert_eq!(row["error_code"], "client_gone", "{row}");
    assert_eq!(row["ending"], "deducted", "{row}");
    let written = row["output_tokens"].as_u64().expect("a number of tokens");
    assert!(written % 25 == 0 && (3..=delivered).contains(&(written / 25)), "{delivered} chunks of 25 tokens: {row}");
    assert_eq!(row["input_tokens"], body.to_string().len().div_ceil(4), "four bytes a token: {row}");
    is_charged_once(world, &account, &row).await;
}

/// The provider has read the input, and bills it.
async fn before_the_first_token(world: &World) {
    let account = world.account("team", "10");
    let body = streamed(worked_example("latency_ms=20000"));
    let request_id = leave_when_asked(world, &account, body).await;
    cancelled(world, &request_id).await;
    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["status"], &row["usage_source"]), (&"cancelled".into(), &"estimated".into()), "{row}");
    assert_eq!(row["error_code"], "client_gone", "{row}");
    assert_eq!((&row["output_tokens"], &row["ttft_ms"]), (&0.into(), &Value::Null), "{row}");
    is_charged_once(world, &account, &row).await;
}

/// The provider bills a whole answer in any case, so it is fetched and charged by the provider's figures.
async fn before_a_whole_answer(world: &World) {
    let account = world.account("team", "10");
    let request_id = leave_when_asked(world, &account, worked_example("latency_ms=500")).await;
    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["status"], &row["usage_source"]), (&"success".into(), &"provider".into()), "{row}");
    assert_eq!(row["credits_used"], "3.36", "{row}");
    is_charged_once(world, &account, &row).await;
}

/// Asks, and leaves as soon as the provider was asked; gives the request's id.
async fn leave_when_asked(world: &World, account: &Account, body: Value) -> String {
    let before = world.bill();
    let (client, key) = (world.client(), account.key.clone());
    let mut waiting = JoinSet::new();
    waiting.spawn(async move { drop(client.open_chat(&key, &body).await) });
    let asked = async || world.bill().keys().find(|id| !before.contains_key(*id)).cloned();
    let request_id = world.until("the provider is asked", asked).await;
    waiting.shutdown().await;
    request_id
}

async fn cancelled(world: &World, request_id: &str) -> Value {
    let is_cancelled = async || world.billed(request_id).filter(|line| line["status"] == "cancelled");
    world.within(SOON, "the provider's call is stopped", is_cancelled).await
}

async fn is_charged_once(world: &World, account: &Account, row: &Value) {
    world.quiet().await;
    let balance = world.balance(&account.account_id).await;
    assert_eq!((&balance["charged"], &balance["held"]), (&row["credits_used"], &"0".into()), "{row}");
    let credits = |name: &str| row[name].as_str().and_then(|credits| credits.parse::<f64>().ok()).unwrap_or_default();
    assert!(credits("credits_used") > 0.0 && credits("credits_used") < credits("hold_credits"), "{row}");
}
