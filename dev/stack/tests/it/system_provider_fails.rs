//! A provider that fails in any of the known ways: the client gets an answer or a clear error, nothing hangs, the hold
//! ends, and nothing is charged that was not delivered.

use serde_json::{Value, json};
use stack::local::{Account, StackOptions};

use super::system_kit::{Event, SONNET, Stream, World, chat, streamed, worked_example};

/// Providers are waited for seconds instead of minutes.
fn impatient() -> StackOptions {
    let patience = ["LAYERS_UPSTREAM_FIRST_BYTE_SECONDS", "LAYERS_UPSTREAM_SILENCE_SECONDS"];
    StackOptions { env: patience.map(|name| (name.to_owned(), "1".to_owned())).into(), ..StackOptions::default() }
}

/// How a provider fails before anything was delivered, and what the client is told: status, code, `retry-after`.
const BEFORE_ANYTHING: [(&str, u16, &str, Option<&str>); 11] = [
    ("status=500", 502, "upstream_error", None),
    ("status=503 retry_after=7", 503, "upstream_unavailable", Some("7")),
    ("status=429", 429, "upstream_rate_limited", Some("5")),
    ("status=429 retry_after=900", 429, "upstream_rate_limited", Some("60")),
    // Our key and our balance there are not the client's, and another try does not mend them.
    ("status=401", 502, "upstream_error", None),
    ("status=402", 502, "upstream_error", None),
    ("status=403", 502, "upstream_error", None),
    ("status=424", 502, "upstream_error", None),
    // What the client did wrong is passed on in the provider's words.
    ("status=400", 400, "invalid_request_error", None),
    ("status=422", 400, "AI_APICallError", None),
    ("hang=1", 504, "upstream_timeout", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_was_delivered_it_is_an_error_that_costs_nothing() {
    let world = World::start_with(impatient());
    let account = world.account("team", "100");
    for (wishes, status, code, retry_after) in BEFORE_ANYTHING {
        for body in [worked_example(wishes), streamed(worked_example(wishes))] {
            fails(&world, &account, &body, status, code, retry_after).await;
        }
    }
    // Half an answer is none.
    for wishes in ["cut_after=1", "malformed=1"] {
        fails(&world, &account, &worked_example(wishes), 502, "upstream_error", None).await;
    }
    // What is the operator's business is an alarm: a count of its own, and an error in the log.
    assert_eq!(world.metric(0, "layers_requests_total{outcome=\"provider_denied\"}").await, 6);
    let log = std::fs::read_to_string(world.stack.gateway(0).log()).expect("a log");
    let alarms = log.lines().filter(|line| line.contains("ERROR") && line.contains("provider.denied"));
    assert_eq!(alarms.count(), 6);
    world.quiet().await;
    let balance = world.balance(&account.account_id).await;
    assert_eq!((&balance["balance"], &balance["held"]), (&"100".into(), &"0".into()));
    // What it billed for what came malformed is the platform's loss.
    let billed: Vec<_> = world.bill().into_iter().filter(|(_, line)| line["status"] == "completed").collect();
    let [(malformed, _)] = &billed[..] else { panic!("{billed:?}") };
    world.close_but(&[malformed]).await;
}

async fn fails(world: &World, account: &Account, body: &Value, status: u16, code: &str, retry_after: Option<&str>) {
    let answer = world.ask(&account.key, body).await;
    let told = format!("{} for {body}", answer.text());
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{told}");
    let is_ours = ["status=401", "status=402", "status=403"].iter().any(|ours| body.to_string().contains(ours));
    let retry = is_ours.then_some("false");
    assert_eq!((answer.header("retry-after"), answer.header("x-should-retry")), (retry_after, retry), "{told}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{told}");
    let message = answer.error()["message"].to_string();
    assert_eq!(
        message.contains("simulated status"),
        status == 400,
        "only a client's own mistakes are passed on: {told}"
    );

    let row = world.usage_log(&answer.request_id()).await;
    assert_eq!((&row["ending"], &row["status"]), (&"released".into(), &"error".into()), "{row}");
    assert_eq!((&row["credits_used"], &row["usage_source"]), (&"0".into(), &Value::Null), "{row}");
    assert!(row["error_message"].is_string(), "{row}");
    assert_eq!(row["error_code"], "provider_failed", "{row}");
}

/// How a stream breaks after three chunks, what the client is told in it, and what it is called in the books.
const IN_THE_MIDDLE: [(&str, &str, &str, &str); 4] = [
    ("chunks=8 cut_after=3", "upstream_error", "The model's provider broke off its answer.", "cut_stream"),
    (
        "chunks=8 error_after=3",
        "upstream_error",
        "The model's provider reported an error: simulated error in the stream",
        "provider_error",
    ),
    (
        "chunks=8 chunk_ms=1 malformed=1",
        "upstream_error",
        "The model's provider sent an answer that could not be read.",
        "provider_error",
    ),
    ("chunks=2 chunk_ms=9000", "upstream_timeout", "The model's provider did not answer in time.", "provider_timeout"),
];

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_stream_it_is_an_error_event_and_what_was_delivered_is_charged() {
    let world = World::start_with(impatient());
    let account = world.account("team", "100");
    for (wishes, code, message, error_code) in IN_THE_MIDDLE {
        let body = streamed(chat(SONNET, 1_000, &format!("prompt_tokens=20 completion_tokens=80 {wishes}")));
        let (request_id, events) = broken(world.open(&account.key, &body).await).await;
        let Some((last, before)) = events.split_last() else { panic!("{wishes}: nothing came") };
        let error = &last.json()["error"];
        assert_eq!((&error["code"], &error["message"]), (&code.into(), &message.into()), "{wishes}: {error}");
        let text: usize = before.iter().filter_map(Event::content).map(|content| content.len()).sum();
        assert!(text > 0, "{wishes}: what came before is the client's");

        let row = world.usage_log(&request_id).await;
        assert_eq!((&row["status"], &row["usage_source"]), (&"error".into(), &"estimated".into()), "{wishes}: {row}");
        assert_eq!((&row["ending"], &row["is_charged"]), (&"deducted".into(), &true.into()), "{wishes}: {row}");
        assert_eq!(row["error_code"], error_code, "{wishes}: {row}");
        assert_eq!(row["output_tokens"], text.div_ceil(4), "{wishes}: {row}");
        assert_eq!(row["input_tokens"], body.to_string().len().div_ceil(4), "{wishes}: {row}");
    }

    // Roles alone are nothing delivered.
    let body = streamed(worked_example("cut_after=0"));
    let (request_id, events) = broken(world.open(&account.key, &body).await).await;
    assert!(events.iter().all(|event| event.content().is_none_or(|content| content.is_empty())), "{events:?}");
    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["ending"], &row["credits_used"]), (&"released".into(), &"0".into()), "{row}");
    world.close().await;
}

/// All events of a stream that breaks: an error without a name comes last, and no `[DONE]`, which would look like success.
async fn broken(stream: Stream) -> (String, Vec<Event>) {
    assert_eq!(stream.status, 200);
    let request_id = stream.request_id();
    let events = stream.events().await;
    assert!(events.iter().all(|event| event.0.starts_with("data: {") || event.0.starts_with(": ")), "{events:?}");
    let (last, before) = events.split_last().expect("something came");
    assert!(
        last.json()["error"].is_object() && before.iter().all(|event| event.json()["error"].is_null()),
        "{events:?}"
    );
    (request_id, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_billed_beyond_the_hold_is_the_platforms_loss() {
    let world = World::start();
    let account = world.account("team", "100");
    // 168 credits: 100,000 tokens in and 50,000 out, where ten were allowed.
    let wishes = "prompt_tokens=100000 completion_tokens=50000 ignore_max=1";
    let (mut charged, mut lost) = (0, 0);
    for body in [chat(SONNET, 10, wishes), streamed(chat(SONNET, 10, wishes))] {
        let answer = world.ask(&account.key, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = world.usage_log(&answer.request_id()).await;
        assert_eq!(row["credits_used"], row["hold_credits"], "the customer pays what was set aside: {row}");
        assert_eq!((&row["cost_usd"], &row["output_tokens"]), (&"1.05".into(), &50_000.into()), "{row}");
        if body["stream"].is_null() {
            assert_eq!(answer.header("x-layers-cost-credits"), row["credits_used"].as_str());
        }
        let paid = nanocredits(&row["credits_used"]);
        charged += paid;
        lost += 168_000_000_000 - paid;
    }
    world.quiet().await;
    let books = world.ledger_account(&account.account_id).await;
    assert_eq!((&books["charged"], &books["lost"]), (&charged.into(), &lost.into()), "{books}");
    let balance = world.balance(&account.account_id).await;
    assert_eq!(nanocredits(&balance["balance"]), 100_000_000_000 - charged, "{balance}");
    assert!(balance.get("lost").is_none(), "no customer sees it");
    world.close().await;
}

fn nanocredits(credits: &Value) -> i64 {
    let text = credits.as_str().unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<9}").parse().unwrap_or_else(|_| panic!("{credits} are no credits"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_on_the_usage_it_is_estimated_and_said_to_be() {
    let world = World::start();
    let account = world.account("team", "100");
    let mut estimated = Vec::new();

    let body = chat(SONNET, 1_000, "prompt_tokens=20 completion_tokens=80 no_usage=1");
    let answer = world.ask(&account.key, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let usage = answer.json()["usage"].clone();
    estimated.push((answer.request_id(), body, usage));

    let body = streamed(chat(SONNET, 1_000, "prompt_tokens=20 completion_tokens=80 no_usage=1"));
    let stream = world.open(&account.key, &body).await;
    let request_id = stream.request_id();
    let events = stream.events().await;
    let [.., usage, done] = &events[..] else { panic!("{events:?}") };
    assert_eq!((done.data(), &usage.json()["choices"]), (Some("[DONE]"), &json!([])), "{usage:?}");
    estimated.push((request_id, body, usage.json()["usage"].clone()));

    for (request_id, body, usage) in &estimated {
        assert_eq!((&usage["estimated"], &usage["completion_tokens"]), (&true.into(), &80.into()), "{usage}");
        assert_eq!(usage["prompt_tokens"], body.to_string().len().div_ceil(4), "{usage}");
        let row = world.usage_log(request_id).await;
        assert_eq!((&row["status"], &row["usage_source"]), (&"success".into(), &"estimated".into()), "{row}");
        assert_eq!((&row["credits_used"], &row["is_charged"]), (&usage["cost_credits"], &true.into()), "{row}");
    }
    let different: Vec<_> = estimated.iter().map(|(request_id, ..)| request_id.as_str()).collect();
    world.close_but(&different).await;
}
