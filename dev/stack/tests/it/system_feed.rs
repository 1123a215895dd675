//! The live feed: an account hears what changes its balance, in order, and goes on where it was cut, on whichever gateway.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::Value;
use stack::local::StackOptions;

use super::system_kit::{Answer, Event, HAIKU, SONNET, Stream, World, blocking, chat, request, worked_example};

/// Opens a feed on a gateway, after the last event that was heard, if one was.
async fn open(world: &World, gateway: usize, key: &str, last: Option<&str>) -> Stream {
    let authorization = format!("Bearer {key}");
    let mut headers = vec![("authorization", authorization.as_str())];
    headers.extend(last.map(|last| ("last-event-id", last)));
    let stream = world.client_of(gateway).open(request(Method::GET, "/v1/events", &headers, "")).await;
    assert_eq!(stream.status, 200);
    stream
}

/// The next event that carries something.
async fn next(stream: &mut Stream) -> Event {
    loop {
        let event = stream.next().await.expect("the feed goes on");
        if event.data().is_some() {
            assert_eq!(id(&event), event.json()["position"].to_string());
            return event;
        }
    }
}

fn id(event: &Event) -> String {
    event.0.lines().find_map(|line| line.strip_prefix("id: ")).expect("an event has an id").to_owned()
}

/// All that there is after a position.
async fn all(world: &World, key: &str, last: u64) -> Answer {
    world.client().get(&format!("/v1/events?follow=false&last_event_id={last}"), Some(key)).await
}

fn told(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.text().lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_told_once_in_order_across_cuts_and_gateways() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    let (account, other) = (world.account("bench", "100"), world.account("bench", "100"));
    world.quiet().await;
    let mut feed = open(&world, 0, &account.key, None).await;
    let standing = next(&mut feed).await;
    let what = ["type", "balance", "held", "available"].map(|name| standing.json()[name].clone());
    assert_eq!(what, ["standing", "100", "0", "100"], "{standing:?}");

    // One request, looked at closely.
    let answer = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(answer.status, 200);
    let mut heard = Vec::new();
    for (kind, model) in [("hold", SONNET), ("usage", SONNET), ("charge", SONNET)] {
        let event = next(&mut feed).await;
        let data = event.json();
        assert_eq!((&data["type"], &data["model"]), (&kind.into(), &model.into()), "{data}");
        assert_eq!(data["request_id"], answer.request_id(), "{data}");
        heard.push(event);
    }
    let [hold, usage, charge] = [0, 1, 2].map(|index: usize| heard[index].json());
    assert!(hold["change"]["balance"] == "0" && hold["change"]["held"] == hold["held"], "{hold}");
    assert_eq!((&usage["usage"]["input_tokens"], &usage["usage"]["output_tokens"]), (&2000.into(), &1000.into()));
    assert_eq!((&usage["change"]["balance"], &usage["usage"]["credits"]), (&"0".into(), &"3.36".into()), "{usage}");
    assert_eq!((&charge["change"]["balance"], &charge["balance"]), (&"-3.36".into(), &"96.64".into()), "{charge}");
    assert_eq!((&charge["held"], &charge["available"]), (&"0".into(), &"96.64".into()), "{charge}");

    // Many, on both gateways, of two accounts, while the feed is cut again and again and goes on elsewhere.
    let asking = async {
        for round in 0..12 {
            let ask = |gateway: usize, key: &str| {
                let (client, key) = (world.client_of(gateway), key.to_owned());
                async move { client.chat(&key, &chat(HAIKU, 50, "prompt_tokens=20 completion_tokens=30")).await }
            };
            let (one, two) = tokio::join!(ask(round % 2, &account.key), ask(1 - round % 2, &other.key));
            assert_eq!((one.status, two.status), (200, 200));
        }
        // What was acknowledged may be appended a moment later: the last one is to be the last.
        world.quiet().await;
        blocking(|| {
            world.stack.ledger_json(&[
                "credits",
                "add",
                "--account",
                &account.account_id,
                "--credits",
                "5",
                "--reference",
                "last",
            ])
        })
        .expect("credits are added");
    };
    let hearing = async {
        let (mut gateway, mut since) = (0, 0);
        loop {
            let event = next(&mut feed).await;
            let is_last = event.json()["type"] == "top_up";
            heard.push(event);
            if is_last {
                return;
            }
            since += 1;
            // Cut in the midst, wherever it is, also behind events that were sent and never heard.
            if since == 5 {
                (gateway, since) = (1 - gateway, 0);
                feed = open(&world, gateway, &account.key, Some(&id(heard.last().expect("an event")))).await;
            }
        }
    };
    tokio::join!(asking, hearing);

    // What was heard is what there is, each once, in order; and what the books say.
    let begin: u64 = id(&standing).parse().expect("a position");
    let whole = told(&all(&world, &account.key, begin).await);
    let heard: Vec<Value> = heard.iter().map(Event::json).collect();
    assert_eq!(heard, whole);
    assert_eq!(types(&whole).iter().filter(|kind| **kind == "charge").count(), 13);
    let positions: Vec<u64> = whole.iter().map(|event| event["position"].as_u64().expect("a position")).collect();
    assert!(positions.is_sorted_by(|one, two| one < two), "{positions:?}");
    let last = whole.last().expect("an event");
    assert_eq!((&last["change"]["balance"], &last["balance"]), (&"5".into(), &"101.3136".into()), "{last}");
    let history = format!(
        "select trim_scale(balance)::text as balance, trim_scale(held)::text as held, position from credit_history
         where account_id = '{}' and position > {begin} order by position",
        account.account_id
    );
    for row in world.rows(&history).await {
        let event = whole.iter().find(|event| event["position"] == row["position"]).expect("each change is told");
        assert_eq!((&event["balance"], &event["held"]), (&row["balance"], &row["held"]), "{event}");
    }

    // From the beginning: the opening and the first credits as well. Another account hears its own, and nothing of this one.
    let everything = told(&all(&world, &account.key, 0).await);
    assert_eq!(types(&everything)[..2], ["opening", "top_up"], "{everything:?}");
    assert_eq!(everything.len(), whole.len() + 2);
    let others = told(&all(&world, &other.key, 0).await);
    let ids = |events: &[Value]| -> BTreeSet<String> {
        events.iter().filter_map(|event| Some(event["request_id"].as_str()?.to_owned())).collect()
    };
    assert_eq!((ids(&others).len(), ids(&everything).len()), (12, 13));
    assert!(ids(&others).is_disjoint(&ids(&everything)));
    assert_eq!(types(&told(&all(&world, &account.sandbox_key, 0).await)), ["opening", "top_up"]);
    drop(feed);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_ends_with_its_key_and_with_its_gateway_and_is_limited() {
    let world = World::start();
    let account = world.account("bench", "100");
    let issued = world.ledger(&["key", "issue", "--account", &account.account_id, "--name", "short-lived"]);
    let short_lived = issued["key"].as_str().expect("a key").to_owned();
    world.quiet().await;
    let mut of_short_lived = open(&world, 0, &short_lived, None).await;
    next(&mut of_short_lived).await;
    world.ledger(&["key", "revoke", &short_lived]);
    assert_eq!(world.ask(&account.key, &worked_example("")).await.status, 200);
    let after: Vec<Event> = of_short_lived.events().await;
    assert!(after.iter().all(|event| event.data().is_none()), "told after the key was revoked: {after:?}");

    // So many at a time; the place of one that is left is free again.
    let mut feeds = Vec::new();
    for _ in 0..8 {
        feeds.push(open(&world, 0, &account.key, None).await);
    }
    let refused = world.client().get("/v1/events", Some(&account.key)).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_feeds"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(world.metric(0, "layers_feeds_open").await, 8);
    feeds.pop();
    let free = async || (world.metric(0, "layers_feeds_open").await == 7).then_some(());
    world.until("the place is free", free).await;
    feeds.push(open(&world, 0, &account.key, None).await);

    for (query, status, code) in [
        ("last_event_id=-1", 400, "invalid_value"),
        ("last_event_id=99999999999", 503, "not_yet_available"),
        ("from=yesterday", 400, "unknown_parameter"),
    ] {
        drop(feeds.pop());
        let answer = world
            .until("there is a place", async || {
                let answer = world.client().get(&format!("/v1/events?{query}"), Some(&account.key)).await;
                (answer.status != 429).then_some(answer)
            })
            .await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{query}");
    }

    // A stop ends them at once, long before it would lose its patience, and in order.
    let gateway = world.stack.gateway(0).clone();
    let begin = std::time::Instant::now();
    let stopping = std::thread::spawn(move || gateway.stop());
    for feed in feeds {
        feed.events().await;
    }
    blocking(|| stopping.join().expect("the stop ends").expect("and was not cut short"));
    assert!(begin.elapsed() < std::time::Duration::from_secs(10), "it took {:?}", begin.elapsed());
    world.close().await;
}
