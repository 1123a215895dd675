//! `Idempotency-Key`: whoever asks the same once more under the same key gets the first answer again, from whichever gateway,
//! and pays once, whatever happens to the client, the gateways or the database meanwhile.

use hyper::Method;
use serde_json::{Value, json};
use stack::local::{StackOptions, TEST_SECRET};
use tokio::task::JoinSet;

use super::system_kit::{Answer, Client, Event, HAIKU, World, blocking, chat, request, streamed, worked_example};

const CHAT: &str = "/v1/chat/completions";
const REPLAY: &str = "x-layers-idempotent-replay";
/// Tokens that cost 0.0272 credits with claude-haiku-4.5.
const TOKENS: &str = "prompt_tokens=20 completion_tokens=30";

fn with(variables: &[(&str, &str)], options: StackOptions) -> StackOptions {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    StackOptions { env, ..options }
}

/// A running request waits a second for another one, instead of twenty.
fn impatient() -> StackOptions {
    with(&[("LAYERS_IDEMPOTENCY_WAIT_SECONDS", "1")], StackOptions::default())
}

/// Asks under an idempotency key.
async fn ask(client: &Client, path: &str, key: &str, once: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", &*bearer), ("idempotency-key", once)];
    client.send(request(Method::POST, path, &headers, body.to_string())).await
}

/// The same answer, byte for byte, marked as one that was given before.
fn is_the_same(first: &Answer, again: &Answer) {
    let told = format!("{}\nand again\n{}", first.text(), again.text());
    assert_eq!((first.status, first.text()), (again.status, again.text()), "{told}");
    assert_eq!((first.header(REPLAY), again.header(REPLAY)), (None, Some("true")), "{told}");
    for name in [
        "content-type",
        "x-request-id",
        "request-id",
        "x-layers-cost-credits",
        "x-layers-model",
        "x-layers-max-tokens-filled",
        "x-should-retry",
        "retry-after",
    ] {
        assert_eq!(first.header(name), again.header(name), "{name}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer_from_any_gateway_and_is_not_charged() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    let account = world.account("team", "100");
    let told = format!("simulate: {TOKENS}");
    let message = json!({ "model": HAIKU, "max_tokens": 100, "messages": [{ "role": "user", "content": told }] });
    let mut message_stream = message.clone();
    message_stream["stream"] = true.into();
    let cases = [
        (CHAT, chat("claude-haiku-4.5", 100, TOKENS)),
        (CHAT, streamed(chat(HAIKU, 100, &format!("{TOKENS} comment=1 split=1")))),
        ("/v1/chat/completions", json!({ "model": HAIKU, "messages": [{ "role": "user", "content": told }] })),
        ("/v1/responses", json!({ "model": HAIKU, "max_output_tokens": 100, "input": told })),
        ("/v1/responses", json!({ "model": HAIKU, "max_output_tokens": 100, "input": told, "stream": true })),
        ("/v1/messages", message),
        ("/v1/messages", message_stream),
        (
            "/v1/embeddings",
            json!({ "model": "text-embedding-3-large", "input": "Hello!", "encoding_format": "base64" }),
        ),
        ("/v1/images/generations", json!({ "model": "bfl/flux-pro-1.1", "prompt": "a red circle" })),
        ("/api/v1/chat", chat(HAIKU, 100, TOKENS)),
        ("/api/v1/image", json!({ "model": "bfl/flux-pro-1.1", "prompt": "a red circle", "aspect_ratio": "16:9" })),
    ];
    for (number, (path, body)) in cases.iter().enumerate() {
        let once = format!("order-{number}");
        let first = ask(&world.client_of(0), path, &account.key, &once, body).await;
        assert_eq!(first.status, 200, "{path}: {}", first.text());
        for gateway in [1, 0] {
            // With `/v1` and without it is the same route.
            let path = if gateway == 1 { path.strip_prefix("/v1").unwrap_or(path) } else { path };
            is_the_same(&first, &ask(&world.client_of(gateway), path, &account.key, &once, body).await);
        }
    }
    assert_eq!(world.bill().len(), cases.len(), "each was asked of the provider once");
    assert_eq!(world.metric(0, "layers_idempotency_requests_total{outcome=\"first\"}").await, cases.len() as u64);
    assert_eq!(world.metric(1, "layers_idempotency_requests_total{outcome=\"replayed\"}").await, cases.len() as u64);
    assert_eq!(world.metric(1, "layers_requests_total{outcome=\"replayed\"}").await, cases.len() as u64);

    // Another request under a key, be it of another route only, is a mistake that no retry mends.
    let (path, body) = &cases[0];
    let mut other = body.clone();
    other["max_tokens"] = 99.into();
    for (path, body) in [(*path, &other), ("/api/v1/chat", body)] {
        let answer = ask(&world.client_of(1), path, &account.key, "order-0", body).await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "idempotency_key_reused"), "{}", answer.text());
        assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
    }
    let other = json!({ "model": HAIKU, "max_tokens": 1, "messages": [{ "role": "user", "content": "x" }] });
    let answer = ask(&world.client(), "/v1/messages", &account.key, "order-5", &other).await;
    assert_eq!(answer.json()["type"], "error", "Anthropic's clients hear it in their form: {}", answer.text());
    // Another account's key is another key; so is the sandbox's.
    let stranger = world.account("team", "100");
    for key in [&stranger.key, &account.sandbox_key] {
        let answer = ask(&world.client(), path, key, "order-0", body).await;
        assert_eq!((answer.status, answer.header(REPLAY)), (200, None), "{}", answer.text());
    }
    // Nor is a key needed for a key.
    let headers = [("x-layers-test-mode", TEST_SECRET), ("idempotency-key", "order-0")];
    let test =
        async |gateway| world.client_of(gateway).send(request(Method::POST, path, &headers, body.to_string())).await;
    is_the_same(&test(0).await, &test(1).await);
    assert_eq!(world.bill().len(), cases.len() + 3);

    world.quiet().await;
    let rows = world.usage_logs().await;
    assert_eq!(rows.len(), cases.len() + 3, "a repeat leaves no trace in the books");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_ask_at_once_one_runs_and_all_are_answered() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    let account = world.account("team", "100");
    for body in [worked_example("latency_ms=300"), streamed(worked_example("chunks=5 chunk_ms=60"))] {
        let mut asking = JoinSet::new();
        for number in 0..12 {
            let (client, key, body) = (world.client_of(number % 2), account.key.clone(), body.clone());
            let once = format!("at once {}", body["stream"]);
            asking.spawn(async move { ask(&client, CHAT, &key, &once, &body).await });
        }
        let answers = asking.join_all().await;
        let firsts: Vec<_> = answers.iter().filter(|answer| answer.header(REPLAY).is_none()).collect();
        let [first] = firsts[..] else { panic!("{} ran", firsts.len()) };
        assert_eq!(first.status, 200, "{}", first.text());
        answers.iter().filter(|answer| answer.header(REPLAY).is_some()).for_each(|again| is_the_same(first, again));
    }
    assert_eq!(world.bill().len(), 2, "the provider was asked once for each");
    world.quiet().await;
    assert_eq!(world.balance(&account.account_id).await["charged"], "6.72");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_first_one_runs_others_wait_and_are_told_to_come_again() {
    let world = World::start_with(impatient());
    let account = world.account("team", "100");
    let body = worked_example("latency_ms=4000");
    let (client, key) = (world.client(), account.key.clone());
    let mut first = JoinSet::new();
    let asked = body.clone();
    first.spawn(async move { ask(&client, CHAT, &key, "slow", &asked).await });
    world.until("the provider is asked", async || (world.bill().len() == 1).then_some(())).await;
    let early = ask(&world.client(), CHAT, &account.key, "slow", &body).await;
    assert_eq!((early.status, early.code().as_str()), (409, "idempotency_key_in_use"), "{}", early.text());
    assert_eq!((early.header("retry-after"), early.header("x-should-retry")), (Some("5"), None));
    let first = first.join_next().await.expect("it was asked").expect("it is answered");
    is_the_same(&first, &ask(&world.client(), CHAT, &account.key, "slow", &body).await);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cost_nothing_is_forgotten_and_what_cost_something_is_not() {
    let world = World::start();
    let account = world.account("team", "1");
    // Refused before the provider was asked: the same request can succeed later.
    let body = worked_example("");
    let refused = ask(&world.client(), CHAT, &account.key, "poor", &body).await;
    assert_eq!((refused.status, refused.code().as_str()), (402, "insufficient_credits"), "{}", refused.text());
    let reference = ["--reference", "for the second try"];
    world.ledger(&[&["credits", "add", "--account", &account.account_id, "--credits", "100"], &reference[..]].concat());
    let paid = world.until("the credits are there", async || {
        let answer = ask(&world.client(), CHAT, &account.key, "poor", &body).await;
        (answer.status == 200).then_some(answer)
    });
    is_the_same(&paid.await, &ask(&world.client(), CHAT, &account.key, "poor", &body).await);
    // A body that is none; a provider that fails before anything came, or after nothing but roles.
    let broken = json!({ "model": HAIKU });
    for _ in 0..2 {
        let answer = ask(&world.client(), CHAT, &account.key, "broken", &broken).await;
        assert_eq!((answer.status, answer.header(REPLAY)), (400, None), "{}", answer.text());
    }
    let failing =
        [worked_example("status=503"), streamed(worked_example("status=500")), streamed(worked_example("cut_after=0"))];
    for (number, body) in failing.iter().enumerate() {
        let before = world.bill().len();
        for tries in 1..=2 {
            let once = format!("failing {number}");
            let answer = ask(&world.client(), CHAT, &account.key, &once, body).await;
            assert_eq!(answer.header(REPLAY), None, "{}", answer.text());
            assert_eq!(world.bill().len(), before + tries, "{body}: the provider is asked again");
        }
    }
    assert_eq!(world.balance(&account.account_id).await["charged"], "3.36");

    // A stream that broke is charged for what came, and comes again as it was, error and all.
    for (number, how) in ["cut_after=3", "error_after=3"].into_iter().enumerate() {
        for path in [CHAT, "/v1/messages", "/v1/responses"] {
            let told = format!("simulate: chunks=8 prompt_tokens=20 completion_tokens=80 {how}");
            let body = match path {
                "/v1/responses" => json!({ "model": HAIKU, "max_output_tokens": 100, "input": told, "stream": true }),
                _ => {
                    json!({ "model": HAIKU, "max_tokens": 100, "messages": [{ "role": "user", "content": told }], "stream": true })
                }
            };
            let once = format!("{path} {number}");
            let first = ask(&world.client(), path, &account.key, &once, &body).await;
            assert!(first.text().contains("upstream_error"), "{}", first.text());
            is_the_same(&first, &ask(&world.client(), path, &account.key, &once, &body).await);
            let row = world.usage_log(&first.request_id()).await;
            assert_eq!((&row["status"], &row["is_charged"]), (&"error".into(), &true.into()), "{row}");
        }
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_left_finds_what_was_done_for_it() {
    let world = World::start();
    let account = world.account("team", "100");
    // A whole answer is fetched to its end, and waits for whoever asks again.
    let body = worked_example("latency_ms=700");
    let first = leave_when_asked(&world, &account.key, "whole", &body).await;
    let again = ask(&world.client(), CHAT, &account.key, "whole", &body).await;
    assert_eq!(
        (again.status, again.header(REPLAY), again.request_id()),
        (200, Some("true"), first),
        "{}",
        again.text()
    );
    assert_eq!(again.header("x-layers-cost-credits"), Some("3.36"));

    // A stream stops at once: what was delivered is what there is, and it says so.
    let body = streamed(worked_example("chunks=40 chunk_ms=100"));
    let bearer = format!("Bearer {}", account.key);
    let headers = [("authorization", &*bearer), ("idempotency-key", "stream")];
    let mut stream = world.client().open(request(Method::POST, CHAT, &headers, body.to_string())).await;
    let request_id = stream.request_id();
    let heard = stream.next_contents(3).await;
    drop(stream);
    let is_cancelled = async || world.billed(&request_id).filter(|line| line["status"] == "cancelled");
    world.until("the provider's call is stopped", is_cancelled).await;
    let again = world.client().open(request(Method::POST, CHAT, &headers, body.to_string())).await;
    assert_eq!((again.status, again.header(REPLAY), again.request_id()), (200, Some("true"), request_id.clone()));
    let events = again.events().await;
    let contents: Vec<_> = events.iter().filter(|event| event.content().is_some_and(|text| !text.is_empty())).collect();
    assert!(contents.len() >= 3 && contents.iter().zip(&heard).all(|(again, first)| *again == first), "{events:?}");
    let last = events.last().map(Event::json).unwrap_or_default();
    assert_eq!(last["error"]["code"], "idempotent_answer_incomplete", "{events:?}");
    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["status"], &row["error_code"]), (&"cancelled".into(), &"client_gone".into()), "{row}");
    assert_eq!(row["output_tokens"], 25 * contents.len(), "charged is what comes again: {row}");
    assert_eq!(world.bill().len(), 2);

    // Who leaves with the last event, as SDKs do, has not left before the end.
    for number in 0..10 {
        let once = format!("done {number}");
        let headers = [("authorization", &*bearer), ("idempotency-key", &once)];
        let body = streamed(chat(HAIKU, 100, TOKENS));
        let mut stream = world.client().open(request(Method::POST, CHAT, &headers, body.to_string())).await;
        let mut first = Vec::new();
        while first.last().and_then(Event::data) != Some("[DONE]") {
            first.push(stream.next().await.expect("the stream goes on"));
        }
        drop(stream);
        let again = world.client().open(request(Method::POST, CHAT, &headers, body.to_string())).await;
        assert_eq!(again.header(REPLAY), Some("true"));
        assert_eq!(again.events().await, first);
    }
    world.close().await;
}

/// By the other policy a stream is heard to its end, which whoever asks again gets.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_stream_is_there_as_a_whole() {
    let world = World::start_with(with(&[("LAYERS_ON_DISCONNECT", "drain")], StackOptions::default()));
    let account = world.account("team", "100");
    let body = streamed(worked_example("chunks=10 chunk_ms=80"));
    let bearer = format!("Bearer {}", account.key);
    let headers = [("authorization", &*bearer), ("idempotency-key", "drained")];
    let mut stream = world.client().open(request(Method::POST, CHAT, &headers, body.to_string())).await;
    stream.next_contents(2).await;
    drop(stream);
    let again = ask(&world.client(), CHAT, &account.key, "drained", &body).await;
    assert_eq!(again.header(REPLAY), Some("true"));
    assert!(again.text().contains("\"cost_credits\":\"3.36\"") && again.text().ends_with("data: [DONE]\n\n"));
    world.close().await;
}

/// Asks, and leaves as soon as the provider was asked; gives the request's id.
async fn leave_when_asked(world: &World, key: &str, once: &str, body: &Value) -> String {
    let before = world.bill();
    let mut waiting = JoinSet::new();
    let (client, key, once, body) = (world.client(), key.to_owned(), once.to_owned(), body.clone());
    waiting.spawn(async move { drop(ask(&client, CHAT, &key, &once, &body).await) });
    let asked = async || world.bill().keys().find(|id| !before.contains_key(*id)).cloned();
    let request_id = world.until("the provider is asked", asked).await;
    waiting.shutdown().await;
    request_id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_leaves_a_key_that_is_free_when_the_books_say_so() {
    let options = StackOptions {
        gateways: 2,
        lease_seconds: Some(2),
        authorization_expires_seconds: Some(6),
        ..StackOptions::default()
    };
    let world = World::start_with(with(&[("LAYERS_IDEMPOTENCY_WAIT_SECONDS", "1")], options));
    let account = world.account("team", "100");
    let body = worked_example("latency_ms=2000");
    let first = {
        let before = world.bill();
        let (client, key, body) = (world.client_of(0), account.key.clone(), body.clone());
        let bearer = format!("Bearer {key}");
        let mut running = JoinSet::new();
        running.spawn(async move {
            let headers = [("authorization", &*bearer), ("idempotency-key", "orphan")];
            // Its connection ends with the gateway.
            drop(client.try_open(request(Method::POST, CHAT, &headers, body.to_string())).await);
        });
        let asked = async || world.bill().keys().find(|id| !before.contains_key(*id)).cloned();
        let first = world.until("the provider is asked", asked).await;
        blocking(|| world.stack.gateway(0).kill());
        running.join_all().await;
        first
    };
    let early = ask(&world.client_of(1), CHAT, &account.key, "orphan", &body).await;
    assert_eq!((early.status, early.code().as_str()), (409, "idempotency_key_in_use"), "{}", early.text());
    let answered = async || {
        let answer = ask(&world.client_of(1), CHAT, &account.key, "orphan", &body).await;
        (answer.status != 409).then_some(answer)
    };
    let second = world.until("the first one's hold has ended", answered).await;
    assert_eq!((second.status, second.header(REPLAY)), (200, None), "{}", second.text());
    is_the_same(&second, &ask(&world.client_of(1), CHAT, &account.key, "orphan", &body).await);
    blocking(|| world.stack.gateway(0).restart().expect("the gateway starts again"));
    is_the_same(&second, &ask(&world.client_of(0), CHAT, &account.key, "orphan", &body).await);
    world.quiet().await;
    let row = world.usage_log(&first).await;
    assert_eq!((&row["ending"], &row["credits_used"]), (&"expired".into(), &"0".into()), "{row}");
    assert_eq!(world.balance(&account.account_id).await["charged"], "3.36");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_charged_and_lost_is_never_charged_again() {
    let world = World::start_with(impatient());
    let account = world.account("team", "100");
    let body = worked_example("");
    let first = ask(&world.client(), CHAT, &account.key, "lost", &body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    // As if its gateway had died between the charge and the writing down.
    let lose = "update gateway.answers set status = null, headers = null, body = null";
    blocking(|| world.stack.postgres().sql(lose).expect("the answer is lost"));
    let gone = world.until("the books say that it was charged", async || {
        let answer = ask(&world.client(), CHAT, &account.key, "lost", &body).await;
        (answer.code() != "idempotency_key_in_use").then_some(answer)
    });
    let gone = gone.await;
    assert_eq!((gone.status, gone.code().as_str()), (410, "idempotent_answer_gone"), "{}", gone.text());
    assert_eq!(gone.header("x-should-retry"), Some("false"));
    assert!(gone.text().contains(&first.request_id()), "it says where its charge is found: {}", gone.text());
    assert_eq!(world.bill().len(), 1);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_remembered_without_its_body() {
    let world = World::start_with(with(&[("LAYERS_IDEMPOTENCY_MAX_BYTES", "1000")], StackOptions::default()));
    let account = world.account("team", "100");
    for body in [worked_example(""), streamed(worked_example(""))] {
        let once = format!("large {}", body["stream"]);
        let first = ask(&world.client(), CHAT, &account.key, &once, &body).await;
        assert_eq!((first.status, first.header(REPLAY)), (200, None));
        assert!(first.text().len() > 1_000);
        let again = ask(&world.client(), CHAT, &account.key, &once, &body).await;
        assert_eq!((again.status, again.code().as_str()), (410, "idempotent_answer_gone"), "{}", again.text());
        assert!(again.text().contains(&first.request_id()), "{}", again.text());
    }
    let kept = world.rows("select * from gateway.answers where body is not null").await;
    assert!(kept.is_empty(), "{kept:?}");
    assert_eq!(world.metric(0, "layers_idempotency_unkept_total").await, 2);
    assert_eq!(world.bill().len(), 2);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_refused_and_nothing_is_asked() {
    let world = World::start();
    let account = world.account("team", "100");
    let bearer = format!("Bearer {}", account.key);
    let long = "k".repeat(256);
    for keys in [&[""][..], &[" "], &[&long], &["schlüssel"], &["a", "a"]] {
        let mut headers = vec![("authorization", &*bearer)];
        headers.extend(keys.iter().map(|key| ("idempotency-key", *key)));
        let answer = world.client().send(request(Method::POST, CHAT, &headers, worked_example("").to_string())).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_idempotency_key"),
            "{keys:?}: {}",
            answer.text()
        );
        assert_eq!(answer.error()["param"], "Idempotency-Key");
    }
    assert!(world.bill().is_empty());
    assert!(world.rows("select * from gateway.answers").await.is_empty());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_a_key_is_no_promise_and_nothing_is_charged_twice() {
    let world = World::start();
    let account = world.account("team", "100");
    // So that its key is known and its credits are leased.
    assert_eq!(world.ask(&account.key, &worked_example("")).await.status, 200);
    // One is answered while the database is away: it is kept when it is back.
    let body = worked_example("latency_ms=1500");
    let (client, key, asked) = (world.client(), account.key.clone(), body.clone());
    let mut running = JoinSet::new();
    running.spawn(async move { ask(&client, CHAT, &key, "answered meanwhile", &asked).await });
    world.until("the provider is asked", async || (world.bill().len() == 2).then_some(())).await;
    world.stack.postgres().pause();
    let refused = ask(&world.client(), CHAT, &account.key, "new", &worked_example("")).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "idempotency_unavailable"), "{}", refused.text());
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), (Some("1"), None));
    let first = running.join_next().await.expect("it was asked").expect("it is answered");
    assert_eq!(first.status, 200, "what is paid for is not held back: {}", first.text());
    assert_eq!(world.bill().len(), 2, "nothing is asked without a claim");
    world.stack.postgres().resume();
    is_the_same(&first, &ask(&world.client(), CHAT, &account.key, "answered meanwhile", &body).await);
    // The claim that nobody knew of is taken back.
    let new = async || {
        let answer = ask(&world.client(), CHAT, &account.key, "new", &worked_example("")).await;
        (answer.status == 200).then_some(answer)
    };
    let new = world.until("the key is free", new).await;
    assert_eq!(new.header(REPLAY), None, "{}", new.text());
    assert_eq!(world.bill().len(), 3);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_forgotten_when_its_time_is_over() {
    let world = World::start_with(with(&[("LAYERS_IDEMPOTENCY_SECONDS", "1")], StackOptions::default()));
    let account = world.account("team", "100");
    let body = worked_example("");
    let first = ask(&world.client(), CHAT, &account.key, "short", &body).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let swept = async || world.rows("select * from gateway.answers").await.is_empty().then_some(());
    world.until("the answer is swept away", swept).await;
    let second = ask(&world.client(), CHAT, &account.key, "short", &body).await;
    assert_eq!((second.status, second.header(REPLAY)), (200, None), "{}", second.text());
    assert_ne!(first.request_id(), second.request_id());
    world.close().await;
}

/// The answer is there, its charge is not acknowledged: no status and no header says that another try makes sense, and the same
/// key never charges it again.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_costs_is_never_a_reason_to_try_again() {
    let world = World::start_with(with(&[("LAYERS_UPSTREAM_TOTAL_SECONDS", "1")], StackOptions::default()));
    let account = world.account("team", "100");
    let body = worked_example("latency_ms=500");
    let (client, key, asked) = (world.client(), account.key.clone(), body.clone());
    let mut running = JoinSet::new();
    running.spawn(async move { ask(&client, CHAT, &key, "unconfirmed", &asked).await });
    world.until("the provider is asked", async || (world.bill().len() == 1).then_some(())).await;
    let nats = &world.stack.nats()[0];
    nats.kill();
    let first = running.join_next().await.expect("it was asked").expect("it is answered");
    assert_eq!((first.status, first.code().as_str()), (424, "settlement_unconfirmed"), "{}", first.text());
    assert_eq!((first.header("x-should-retry"), first.header("retry-after")), (Some("false"), None));
    blocking(|| nats.restart().expect("NATS starts again"));
    is_the_same(&first, &ask(&world.client(), CHAT, &account.key, "unconfirmed", &body).await);
    world.quiet().await;
    assert_eq!(world.balance(&account.account_id).await["charged"], "3.36", "it was settled later, once");
    assert_eq!(world.bill().len(), 1);
    world.close().await;
}
