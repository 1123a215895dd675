//! Several upstreams for the same models: one stands in for another that fails before it has begun to answer, never after; who
//! fails is left alone for a while; and whoever answers, the customer pays once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stack::local::{Account, StackOptions};
use tokio::task::JoinSet;

use super::system_kit::{Answer, World, streamed, upstream_key, worked_example};

/// What the worked example costs, credits.
const PRICE: &str = "3.36";

/// `a` comes first whenever it may be asked, `b` only where it may not.
fn first_a_then_b(a: Value) -> World {
    let mut a = a;
    a["weight"] = 1.into();
    World::start_with_upstreams(&[a, json!({ "weight": 0 })], StackOptions::default())
}

/// Never left alone.
fn unbreakable() -> Value {
    json!({ "breaker": { "failures": 0 }, "first_byte_seconds": 1, "silence_seconds": 1 })
}

async fn ask(world: &World, account: &Account) -> Answer {
    world.ask(&account.key, &worked_example("")).await
}

/// A whole answer and a stream, both from this upstream, each at its price.
async fn both_are_answered_by(world: &World, account: &Account, upstream: &str, why: &str) {
    for body in [worked_example(""), streamed(worked_example(""))] {
        let answer = world.ask(&account.key, &body).await;
        assert_eq!(answer.status, 200, "{why}: {}", answer.text());
        let row = world.usage_log(&answer.request_id()).await;
        let said = (&row["upstream"], &row["credits_used"], &row["status"], &row["usage_source"]);
        assert_eq!(said, (&upstream.into(), &PRICE.into(), &"success".into(), &"provider".into()), "{why}: {row}");
    }
}

async fn outcomes(world: &World, upstream: &str, outcome: &str) -> u64 {
    let name = format!("layers_upstream_calls_total{{upstream=\"{upstream}\",outcome=\"{outcome}\"}}");
    world.metric(0, &name).await
}

async fn breaker(world: &World, upstream: &str) -> u64 {
    world.metric(0, &format!("layers_upstream_breaker_state{{upstream=\"{upstream}\"}}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_its_first_byte_is_answered_by_another_at_the_same_price() {
    let world = first_a_then_b(unbreakable());
    let account = world.account("team", "200");
    both_are_answered_by(&world, &account, "a", "nothing fails").await;
    for wishes in ["status=500", "status=429", "status=503", "status=529", "status=404", "status=401", "status=402"] {
        world.wish(0, wishes);
        both_are_answered_by(&world, &account, "b", wishes).await;
    }
    assert_eq!(outcomes(&world, "a", "denied").await, 4, "the operator's own troubles are counted");
    assert_eq!(world.metric(0, "layers_upstream_fallbacks_total").await, 14);

    // Whose answer begins is not asked again elsewhere, and neither is what is wrong everywhere, or may be billed.
    let before = world.calls(1);
    for (wishes, status, code) in [
        ("status=400", 400, "invalid_request_error"),
        ("status=504", 504, "upstream_timeout"),
        ("hang=1", 504, "upstream_timeout"),
        ("cut_after=1", 502, "upstream_error"),
        ("malformed=1", 502, "upstream_error"),
    ] {
        world.wish(0, wishes);
        let answer = ask(&world, &account).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{wishes}: {}", answer.text());
        let row = world.usage_log(&answer.request_id()).await;
        assert_eq!((&row["ending"], &row["credits_used"]), (&"released".into(), &"0".into()), "{wishes}: {row}");
    }
    for wishes in ["cut_after=3", "error_after=3"] {
        world.wish(0, wishes);
        let stream = world.open(&account.key, &streamed(worked_example(""))).await;
        assert_eq!(stream.status, 200);
        let id = stream.request_id();
        let events = stream.events().await;
        assert!(events.last().is_some_and(|event| event.json()["error"].is_object()), "{wishes}: {events:?}");
        let row = world.usage_log(&id).await;
        assert_eq!((&row["upstream"], &row["is_charged"]), (&"a".into(), &true.into()), "{wishes}: {row}");
    }
    assert_eq!(world.calls(1), before, "b is not asked");
    assert_eq!(world.metric(0, "layers_upstream_broken_answers_total{upstream=\"a\"}").await, 4);
    world.quiet().await;
    let mut malformed = Vec::new();
    for (id, _) in world.bill().into_iter().filter(|(_, line)| line["status"] == "completed") {
        if world.usage_log(&id).await["ending"] == "released" {
            malformed.push(id);
        }
    }
    assert_eq!(malformed.len(), 1, "what it billed for what came malformed is the platform's loss");
    world.close_but(&[&malformed[0]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_not_there_costs_nothing_once_it_is_known() {
    // Nobody listens there, and whoever does not know that waits for nothing.
    let world = first_a_then_b(json!({ "base_url": "http://127.0.0.1:1/v1", "breaker": { "rest_seconds": 60 } }));
    let account = world.account("team", "200");
    for _ in 0..3 {
        both_are_answered_by(&world, &account, "b", "a is not there").await;
    }
    assert_eq!((outcomes(&world, "a", "unreachable").await, breaker(&world, "a").await), (5, 2));
    for _ in 0..5 {
        assert_eq!(ask(&world, &account).await.status, 200);
    }
    assert_eq!(outcomes(&world, "a", "unreachable").await, 5, "it is left alone");
    let log = std::fs::read_to_string(world.stack.gateway(0).log()).expect("a log");
    assert_eq!(log.matches("upstream.rests").count(), 1);
    for name in ["a", "b"] {
        assert!(!log.contains(&upstream_key(name)), "a key is logged");
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_upstream_that_bills_nothing_unanswered_is_left_for_another_and_then_left_alone() {
    let slow =
        json!({ "first_byte_seconds": 1, "retry_timeouts": true, "breaker": { "failures": 2, "rest_seconds": 60 } });
    let world = first_a_then_b(slow);
    let account = world.account("team", "200");
    world.wish(0, "hang=1");
    for _ in 0..2 {
        let began = Instant::now();
        assert_eq!(ask(&world, &account).await.status, 200);
        assert!(began.elapsed() >= Duration::from_secs(1), "a was waited for");
    }
    assert_eq!((outcomes(&world, "a", "timeout").await, breaker(&world, "a").await), (2, 2));
    let began = Instant::now();
    assert_eq!(ask(&world, &account).await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for a any more: {:?}", began.elapsed());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_breaker_opens_lets_one_try_and_closes() {
    let world = first_a_then_b(json!({ "breaker": { "failures": 3, "rest_seconds": 1 } }));
    let account = world.account("team", "1000");
    world.wish(0, "status=500");
    for _ in 0..4 {
        assert_eq!(ask(&world, &account).await.status, 200);
    }
    let failed = outcomes(&world, "a", "failed").await;
    assert!(failed >= 3 && breaker(&world, "a").await > 0, "it failed {failed} times and is asked as before");
    // After its rest one request tries it, in vain, and its client does not notice.
    world
        .until("somebody tries a again", async || {
            assert_eq!(ask(&world, &account).await.status, 200);
            (outcomes(&world, "a", "failed").await > failed).then_some(())
        })
        .await;
    world.wish(0, "");
    world
        .until("a is back", async || {
            let answer = ask(&world, &account).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            (breaker(&world, "a").await == 0).then_some(())
        })
        .await;
    both_are_answered_by(&world, &account, "a", "a is back").await;
    assert!(world.metric(0, "layers_upstream_breaker_opened_total{upstream=\"a\"}").await >= 2);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_have_their_shares() {
    let listed = [json!({ "weight": 3 }), json!({ "weight": 1 }), json!({ "weight": 5, "models": ["openai/*"] })];
    let world = World::start_with_upstreams(&listed, StackOptions::default());
    let account = world.account("team", "2000");
    let mut asked = JoinSet::new();
    for _ in 0..200 {
        let (client, key) = (world.client(), account.key.clone());
        asked.spawn(async move { client.chat(&key, &worked_example("")).await });
    }
    while let Some(answer) = asked.join_next().await {
        let answer = answer.expect("a client ends");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let shares = [0, 1, 2].map(|index| world.calls(index));
    // 150 and 50, and a chance of less than one in a million to be further away than this.
    assert!((118..=182).contains(&shares[0]) && shares[0] + shares[1] == 200, "{shares:?}");
    assert_eq!(shares[2], 0, "c does not serve the model");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_fail_the_client_is_told_what_to_do_and_holds_nothing() {
    let both = json!({ "breaker": { "failures": 2, "rest_seconds": 30 } });
    let world = World::start_with_upstreams(&[both.clone(), both], StackOptions::default());
    let account = world.account("team", "100");
    let told = |answer: &Answer| {
        let header = |name| answer.header(name).map(str::to_owned);
        (answer.status, answer.code(), header("retry-after"), header("x-should-retry"))
    };
    let expected = |status, code: &str, retry_after: Option<&str>, retry: Option<&str>| {
        (status, code.to_owned(), retry_after.map(str::to_owned), retry.map(str::to_owned))
    };
    // Where one is only busy, coming again helps.
    world.wish(0, "status=500");
    world.wish(1, "status=429 retry_after=7");
    let answer = ask(&world, &account).await;
    assert_eq!(told(&answer), expected(429, "upstream_rate_limited", Some("7"), None));
    let row = world.usage_log(&answer.request_id()).await;
    assert_eq!((&row["ending"], &row["credits_used"]), (&"released".into(), &"0".into()), "{row}");
    world.wish(1, "status=500");
    let answer = ask(&world, &account).await;
    assert_eq!(told(&answer), expected(502, "upstream_error", None, None));
    // Both are left alone now: nobody is asked, nothing is held.
    let (before, authorized) = ([world.calls(0), world.calls(1)], world.metric(0, "layers_authorized_total").await);
    for body in [worked_example(""), streamed(worked_example(""))] {
        let answer = world.ask(&account.key, &body).await;
        let (status, code, retry_after, should) = told(&answer);
        assert_eq!((status, code.as_str(), should), (503, "upstream_unavailable", None), "{}", answer.text());
        let seconds: u64 = retry_after.and_then(|text| text.parse().ok()).expect("it says when to come again");
        assert!((1..=30).contains(&seconds), "{seconds}");
    }
    assert_eq!([world.calls(0), world.calls(1)], before);
    assert_eq!(world.metric(0, "layers_authorized_total").await, authorized);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_none_takes_our_key_nobody_tries_again_and_the_operator_is_told() {
    let wrong = json!({ "key_env": "WRONG_KEY", "breaker": { "failures": 0 } });
    let env = vec![("WRONG_KEY".to_owned(), "sk_a_wrong_key".to_owned())];
    let world = World::start_with_upstreams(&[wrong.clone(), wrong], StackOptions { env, ..StackOptions::default() });
    let account = world.account("team", "100");
    let answer = ask(&world, &account).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{}", answer.text());
    assert_eq!((answer.header("x-should-retry"), answer.header("retry-after")), (Some("false"), None));
    assert_eq!((outcomes(&world, "a", "denied").await, outcomes(&world, "b", "denied").await), (1, 1));
    assert_eq!(world.metric(0, "layers_requests_total{outcome=\"provider_denied\"}").await, 1);
    let log = std::fs::read_to_string(world.stack.gateway(0).log()).expect("a log");
    assert_eq!(log.lines().filter(|line| line.contains("ERROR") && line.contains("provider.denied")).count(), 2);
    assert!(!log.contains("sk_a_wrong_key") && !answer.text().contains("sk_a_wrong_key"));
    world.close().await;
}
