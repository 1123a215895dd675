//! Ten requests a minute on tier free: the eleventh is told when to come again.

use std::time::Duration;

use stack::local::StackOptions;
use tokio::task::JoinSet;

use super::system_kit::{Answer, HAIKU, World, chat};

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_request_of_a_minute_waits() {
    let world = World::start();
    let account = world.account("free", "10");
    let answers = at_once(&world, &account.key, 11).await;
    let (passed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((passed.len(), refused.len()), (10, 1));
    for answer in &passed {
        assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("10"));
        assert!(is_span(answer.header("x-ratelimit-reset-requests").expect("when the limit is as new")));
    }
    let mut remaining: Vec<u32> = passed.iter().map(remaining).collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..10).collect::<Vec<_>>(), "each was counted once");
    is_refused(&refused[0], 10);
    assert_eq!(world.bill().len(), 10, "what is refused is not asked");

    // Every route counts; others' requests do not.
    is_refused(&world.client().get("/v1/models", Some(&account.key)).await, 10);
    assert_eq!(world.client().get("/v1/credits", Some(&account.sandbox_key)).await.status, 200, "the sandbox is apart");
    // Without a key nobody's limit is used.
    assert_eq!(world.client().get("/v1/models", None).await.header("x-ratelimit-limit-requests"), None);

    // A better plan holds at once: the next request comes free within a second or two, and not within six.
    world.ledger(&["account", "tier", "--account", &account.account_id, "--tier", "starter"]);
    let passes = async || {
        let answer = world.client().get("/v1/models", Some(&account.key)).await;
        (answer.status == 200).then_some(answer)
    };
    let answer = world.within(Duration::from_secs(4), "the new tier's next request is let through", passes).await;
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("60"));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_share_the_limit() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    for gateway in 0..2 {
        let knows_the_other = async || {
            let health = world.client_of(gateway).get("/health", None).await.json();
            (health["live_gateways"] == 2).then_some(())
        };
        world.until("the gateways know each other", knows_the_other).await;
    }
    let account = world.account("free", "10");
    let mut passed = 0;
    for gateway in 0..2 {
        for _ in 0..10 {
            let answer = world.client_of(gateway).get("/v1/models", Some(&account.key)).await;
            passed += u32::from(answer.status == 200);
        }
    }
    assert_eq!(passed, 10);
    world.close().await;
}

async fn at_once(world: &World, key: &str, count: usize) -> Vec<Answer> {
    let mut asking = JoinSet::new();
    for _ in 0..count {
        let (client, key) = (world.client(), key.to_owned());
        asking.spawn(async move { client.chat(&key, &chat(HAIKU, 10, "")).await });
    }
    asking.join_all().await
}

fn is_refused(answer: &Answer, limit: u32) {
    let error = answer.error();
    assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limit_exceeded"), "{error}");
    assert_eq!((&error["type"], &error["param"]), (&"requests".into(), &serde_json::Value::Null), "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains(&format!("Limit {limit}"))), "{error}");
    let wait: u64 = answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("when to come again");
    assert!((1..=60).contains(&wait), "SDKs believe a wait of up to a minute: {wait}");
    assert_eq!(answer.header("x-should-retry"), None);
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some(&*limit.to_string()));
    assert_eq!(remaining(answer), 0);
    assert!(is_span(answer.header("x-ratelimit-reset-requests").expect("when the limit is as new")));
}

fn remaining(answer: &Answer) -> u32 {
    answer.header("x-ratelimit-remaining-requests").and_then(|count| count.parse().ok()).expect("a count")
}

/// `12ms`, `1s`, `6m0s`.
fn is_span(span: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match (span.strip_suffix("ms"), span.strip_suffix('s')) {
        (Some(milliseconds), _) => digits(milliseconds),
        (None, Some(rest)) => rest.split_once('m').map_or_else(|| digits(rest), |(m, s)| digits(m) && digits(s)),
        (None, None) => false,
    }
}
