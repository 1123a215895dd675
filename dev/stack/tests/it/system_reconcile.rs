//! What was estimated is charged by the provider's own bill, once it is known.

use serde_json::Value;

use super::system_kit::{World, blocking, streamed, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_trued_up_by_the_providers_bill_and_only_once() {
    let world = World::start();
    let account = world.account("team", "20");
    // Told by the provider: nothing to true up.
    world.ask(&account.key, &worked_example("")).await;
    // The prompt has 2,000 tokens, which are estimated to be a quarter, or one, which is estimated to be 500.
    let dearer = left(&world, &account.key, "chunks=40 chunk_ms=100").await;
    let cheaper = left(&world, &account.key, "prompt_tokens=1 chunks=40 chunk_ms=100").await;
    world.quiet().await;
    let before = world.balance(&account.account_id).await;

    let (code, seen) = reconcile(&world, &[]);
    assert_eq!((code, &seen["ok"], &seen["totals"]["to_true_up"]), (Some(1), &false.into(), &2.into()), "{seen:#}");
    assert_eq!(seen["totals"]["same"], 1, "{seen:#}");
    assert_eq!(world.balance(&account.account_id).await, before, "looking moves nothing");

    let (code, done) = reconcile(&world, &["--apply", "--reason", "November's bill"]);
    assert_eq!((code, &done["totals"]["trued_up"]), (Some(0), &2.into()), "{done:#}");
    let due = |request: &str| {
        let items = done["items"].as_array().expect("a list");
        let item = items.iter().find(|item| item["request_id"] == *request).expect("it is listed");
        (item["true_up"]["charge"].clone(), item["adjusted"]["amount"].clone())
    };
    let mut spent = nanos(&"3.36".into());
    for (request, given) in [(&dearer, false), (&cheaper, true)] {
        let billed = world.billed(request).expect("the provider billed it");
        // The margin is 60 %, and a dollar is a hundred credits; the bill has no more than nine places.
        let by_the_bill = nanos(&billed["cost_usd"]) * 160;
        let (charge, amount) = due(request);
        assert_eq!(nanos(&charge), by_the_bill, "{billed}");
        let charged = nanos(&world.usage_log(request).await["credits_used"]);
        assert_eq!(nanos(&amount), charged - by_the_bill);
        assert_eq!(nanos(&amount) > 0, given, "{billed}");
        spent += by_the_bill;
        let events = world.events_of(request).await;
        let adjusted = events.last().expect("events");
        assert_eq!(adjusted["type"], "CreditsAdjusted", "{adjusted}");
        assert_eq!(adjusted["data"]["reference"], format!("reconcile:{request}"), "{adjusted}");
    }
    world.projected().await;
    let after = world.balance(&account.account_id).await;
    assert_eq!(nanos(&after["balance"]), 20_000_000_000 - spent, "{after}");

    let adjustments = "select count(*) from ledger.events where event_type = 'CreditsAdjusted'";
    let count = world.row(adjustments).await;
    let (code, again) = reconcile(&world, &["--apply", "--reason", "November's bill"]);
    assert_eq!((code, &again["totals"]["trued_up_before"]), (Some(0), &2.into()), "{again:#}");
    assert_eq!((world.row(adjustments).await, again["items"].as_array().map(Vec::len)), (count, Some(0)));
    world.close().await;
}

/// A stream of which three pieces are heard; gives the request's id.
async fn left(world: &World, key: &str, wishes: &str) -> String {
    let mut stream = world.open(key, &streamed(worked_example(wishes))).await;
    let request_id = stream.request_id();
    stream.next_contents(3).await;
    drop(stream);
    let cancelled = async || world.billed(&request_id).filter(|line| line["status"] == "cancelled");
    world.until("the provider's call is stopped", cancelled).await;
    request_id
}

/// Exit code and report.
fn reconcile(world: &World, more: &[&str]) -> (Option<i32>, Value) {
    let bill = format!("{}/stats", world.stack.simulator().url());
    let args = [&["reconcile", "--provider", &bill, "--json"], more].concat();
    let output = blocking(|| world.stack.cli_output("ledger", &args).expect("the ledger's program runs"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&said);
    let report = report.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// Billionths.
fn nanos(decimal: &Value) -> i64 {
    let text = decimal.as_str().expect("a decimal");
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    sign * format!("{whole}{fraction:0<9}").parse::<i64>().expect("a decimal with at most nine places")
}
