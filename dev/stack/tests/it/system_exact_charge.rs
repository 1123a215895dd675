//! 2,000 tokens in and 1,000 out of claude-sonnet-4.5 cost exactly 3.36 credits, wherever one looks.

use serde_json::Value;

use super::system_kit::{Event, HAIKU, SONNET, World, chat, streamed, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn the_worked_example_costs_the_same_wherever_one_looks() {
    let world = World::start();
    let account = world.account("pro", "10");

    let answer = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.digits_of_usage("cost"), "0.0336", "US$ that the customer pays, an exact number");
    assert_eq!(answer.digits_of_usage("cost_credits"), "\"3.36\"");
    assert_eq!(answer.header("x-layers-cost-credits"), Some("3.36"));
    let usage = &answer.json()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&2_000.into(), &1_000.into()));
    seen_in_the_tables(&world, &answer.request_id(), &account.key).await;
    let balance = world.balance(&account.account_id).await;
    assert_eq!((&balance["balance"], &balance["charged"]), (&"6.64".into(), &"3.36".into()));
    assert_eq!((&balance["held"], &balance["available"]), (&"0".into(), &"6.64".into()));

    // Chunk by chunk it costs the same.
    let stream = world.open(&account.key, &streamed(worked_example(""))).await;
    assert_eq!((stream.status, stream.header("content-type")), (200, Some("text/event-stream; charset=utf-8")));
    let request_id = stream.request_id();
    let events = stream.events().await;
    let [.., usage, done] = &events[..] else { panic!("{events:?}") };
    assert_eq!(done.data(), Some("[DONE]"));
    assert_eq!(usage.json()["choices"], Value::Array(vec![]), "the usage event has no choices");
    let usage = usage.data().unwrap_or_default();
    assert_eq!(super::system_kit::digits_of_usage(usage, "cost"), "0.0336");
    assert_eq!(super::system_kit::digits_of_usage(usage, "cost_credits"), "\"3.36\"");
    let text: String = events.iter().filter_map(Event::content).collect();
    assert_eq!(text.len(), 4_000, "1,000 tokens of four bytes each have come");
    seen_in_the_tables(&world, &request_id, &account.key).await;
    assert_eq!(world.balance(&account.account_id).await["balance"], "3.28");
    world.close().await;
}

/// The request's three events, its row, and the account's balance tell the same.
async fn seen_in_the_tables(world: &World, request_id: &str, key: &str) {
    world.quiet().await;
    let row = world.usage_log(request_id).await;
    let expected = [
        ("credits_used", "3.36".into()),
        ("cost_usd", "0.021".into()),
        ("input_tokens", 2_000.into()),
        ("output_tokens", 1_000.into()),
        ("cached_tokens", 0.into()),
        ("reasoning_tokens", 0.into()),
        ("model_id", SONNET.into()),
        ("served_model_id", SONNET.into()),
        ("provider", "anthropic".into()),
        ("request_type", "chat".into()),
        ("status", "success".into()),
        ("usage_source", "provider".into()),
        ("ending", "deducted".into()),
        ("livemode", true.into()),
        ("error_message", Value::Null),
        ("error_code", Value::Null),
    ];
    for (column, value) in expected {
        assert_eq!(row[column], value, "{column} of {row}");
    }
    let hold: f64 = row["hold_credits"].as_str().and_then(|hold| hold.parse().ok()).expect("a hold in credits");
    assert!(
        (3.36..5.44).contains(&hold),
        "{hold} credits are held: the price, and little more than the prompt's bytes"
    );
    let prefix =
        &world.row(&format!("select key_prefix from api_keys where id = {}", quoted(&row["api_key_id"]))).await;
    assert!(prefix["key_prefix"].as_str().is_some_and(|prefix| key.starts_with(prefix)), "{prefix}");

    let events = world.events_of(request_id).await;
    let [authorized, used, deducted] = &events[..] else { panic!("three events: {events:?}") };
    for (event, name) in [(authorized, "RequestAuthorized"), (used, "UsageRecorded"), (deducted, "CreditsDeducted")] {
        assert_eq!((&event["type"], &event["request_id"]), (&name.into(), &request_id.into()), "{event}");
        assert_eq!(event["livemode"], true, "{event}");
    }
    assert_eq!(authorized["data"]["hold"], row["hold_credits"], "{authorized}");
    assert_eq!((&used["data"]["charge"], &used["data"]["cost_usd"]), (&"3.36".into(), &"0.021".into()), "{used}");
    assert_eq!(deducted["data"]["amount"], "3.36", "{deducted}");
}

fn quoted(text: &Value) -> String {
    format!("'{}'", text.as_str().unwrap_or_default())
}

/// Cached, cache-write and reasoning tokens have prices of their own, and amounts are exact to the nanocredit.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_token_has_its_price_to_the_nanocredit() {
    let world = World::start();
    let account = world.account("pro", "10");
    let mut spent = 0;
    for (wishes, nanocredits) in [
        // One token in and one out: (1 + 5) millionths of a dollar, and 60 %.
        ("prompt_tokens=1 completion_tokens=1", 960_000),
        // 700 in, 200 of them read from the cache at a tenth, 300 written to it at five quarters.
        ("prompt_tokens=700 completion_tokens=10 cached_tokens=200 cache_write_tokens=300", 103_200_000),
        // What is thought is written.
        ("prompt_tokens=10 completion_tokens=500 reasoning_tokens=400", 401_600_000),
    ] {
        let mut body = chat(HAIKU, 500, wishes);
        let padding = "x".repeat(700);
        body["messages"][0]["content"] = format!("{padding} simulate: {wishes}").into();
        let answer = world.ask(&account.key, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let credits = answer.header("x-layers-cost-credits").expect("the cost is told").to_owned();
        assert_eq!(nanos(&credits), nanocredits, "{wishes}: {credits} credits");
        let row = world.usage_log(&answer.request_id()).await;
        assert_eq!(row["credits_used"], *credits, "{row}");
        spent += nanocredits;
    }
    world.quiet().await;
    let left = world.balance(&account.account_id).await["balance"].clone();
    assert_eq!(nanos(left.as_str().expect("a decimal")), 10_000_000_000 - spent);
    world.close().await;
}

fn nanos(credits: &str) -> i64 {
    let (whole, fraction) = credits.split_once('.').unwrap_or((credits, ""));
    format!("{whole}{fraction:0<9}").parse().expect("a decimal with at most nine places")
}
