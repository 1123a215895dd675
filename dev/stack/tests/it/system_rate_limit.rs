//! Ten requests a minute on tier free: the eleventh is told when to come again, at whichever gateway.

use std::time::Duration;

use stack::local::StackOptions;
use tokio::task::JoinSet;

use super::system_kit::{Answer, HAIKU, World, blocking, chat};

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
async fn three_gateways_share_the_limit_and_the_share_of_one_that_dies_goes_to_the_others() {
    let world = World::start_with(StackOptions { gateways: 3, lease_seconds: Some(3), ..StackOptions::default() });
    know_each_other(&world, 3).await;
    let account = world.account("starter", "10");
    // A request or two more where the machine is slow: they come free while the others are asked.
    let shares = let_through(&world, &account.key, 3).await;
    assert!(shares.iter().all(|share| (20..=22).contains(share)), "{shares:?}");

    blocking(|| world.stack.gateway(2).kill());
    know_each_other(&world, 2).await;
    // The share of the dead one is no new burst for those who have used theirs, though a few seconds have gone by (one request a second);
    let after = let_through(&world, &account.key, 2).await;
    assert!(after.iter().sum::<u32>() < 20, "{after:?}");
    // and to others all of the limit is open, at the two that are left.
    let another = world.account("starter", "10");
    let shares = let_through(&world, &another.key, 2).await;
    assert!(shares.iter().all(|share| (30..=33).contains(share)), "{shares:?}");
    blocking(|| {
        world.stack.gateway(2).start().expect("it can be started");
        world.stack.gateway(2).wait_ready().expect("it is ready again");
    });
    world.close().await;
}

/// Until each of the first so many gateways knows of all of them.
async fn know_each_other(world: &World, gateways: usize) {
    for gateway in 0..gateways {
        let knows_the_others = async || {
            let health = world.client_of(gateway).get("/health", None).await.json();
            (health["live_gateways"] == gateways).then_some(())
        };
        world.until("the gateways know each other", knows_the_others).await;
    }
}

/// How many of 60 requests at once each of the first gateways lets through.
async fn let_through(world: &World, key: &str, gateways: usize) -> Vec<u32> {
    let mut all = Vec::new();
    for gateway in 0..gateways {
        let mut asking = JoinSet::new();
        for _ in 0..60 {
            let (client, key) = (world.client_of(gateway), key.to_owned());
            asking.spawn(async move { client.get("/v1/models", Some(&key)).await.status });
        }
        all.push(asking.join_all().await.into_iter().map(|status| u32::from(status == 200)).sum());
    }
    all
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
