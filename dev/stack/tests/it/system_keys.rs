//! Keys: which are refused, how soon a revocation holds everywhere, and how little of a key is ever shown.

use std::time::{Duration, SystemTime};

use stack::local::StackOptions;

use super::system_kit::{Answer, HAIKU, World, blocking, chat};

const UNKNOWN: &str = "lyr_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_refused_and_not_shown() {
    let world = World::start();
    let account = world.account("team", "1");
    let last_missing = &account.key[..account.key.len() - 1];
    let longer = format!("{}A", account.key);
    let other_mode = account.key.replace("lyr_live_", "lyr_test_");
    for key in [UNKNOWN, last_missing, &longer, &other_mode, "sk-abcdefghijklmnopqrstuvwxyz", "lyr_live_", "x"] {
        let answer = world.ask(key, &chat(HAIKU, 10, "")).await;
        let error = refused(&answer, "Incorrect API key provided: ");
        assert!(key.len() < 13 || !error.contains(key), "the key is not repeated: {error}");
    }

    // Without any key, in OpenAI's words, and on every route alike.
    for path in ["/v1/models", "/v1/credits", "/models/anthropic/claude-haiku-4.5"] {
        let answer = world.client().get(path, None).await;
        let error = answer.error();
        assert_eq!((answer.status, &error["code"]), (401, &serde_json::Value::Null), "{path}: {error}");
        assert!(error["message"].as_str().is_some_and(|text| text.starts_with("You didn't provide an API key.")));
    }
    assert!(world.bill().is_empty(), "no provider was asked");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_with_its_time() {
    let world = World::start();
    let account = world.account("team", "1");
    let in_seconds = |seconds: u32| {
        let sql = format!(
            "select to_char(now() at time zone 'utc' + {seconds} * interval '1 second', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
        );
        blocking(|| world.stack.postgres().sql(&sql).expect("the time")).trim().to_owned()
    };
    let issue = |expires_at: &str| {
        let args = ["key", "issue", "--account", &account.account_id, "--expires-at", expires_at];
        world.ledger(&args)["key"].as_str().expect("a key").to_owned()
    };
    // It works at first, and is known to the gateway when its time comes.
    let key = issue(&in_seconds(4));
    let credits = async |key: &str| world.client().get("/v1/credits", Some(key)).await;
    assert_eq!(world.ask(&key, &chat(HAIKU, 10, "")).await.status, 200);
    let late = async || Some(credits(&key).await).filter(|answer| answer.status != 200);
    let answer = world.until("the key expires", late).await;
    refused(&answer, "This API key has expired.");
    let answer = world.ask(&issue("2020-01-01T00:00:00Z"), &chat(HAIKU, 10, "")).await;
    refused(&answer, "This API key has expired.");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_holds_on_every_gateway_within_a_second() {
    let world = World::start_with(StackOptions { gateways: 2, ..StackOptions::default() });
    let account = world.account("team", "10");
    let ask = async |gateway: usize| world.client_of(gateway).chat(&account.key, &chat(HAIKU, 10, "")).await;
    for gateway in 0..2 {
        assert_eq!(ask(gateway).await.status, 200, "the key is good, and known to both");
    }

    // Both are asked again and again until they refuse; when was each asked last that was still answered?
    let mut watching = tokio::task::JoinSet::new();
    for gateway in 0..2 {
        let (client, key) = (world.client_of(gateway), account.key.clone());
        watching.spawn(async move {
            let mut last_good = SystemTime::UNIX_EPOCH;
            loop {
                let asked = SystemTime::now();
                let answer = client.chat(&key, &chat(HAIKU, 10, "")).await;
                if answer.status != 200 {
                    return (answer, last_good);
                }
                last_good = asked;
            }
        });
    }
    let revoked = world.ledger(&["key", "revoke", &account.key]);
    let returned = SystemTime::now();
    for gateway in 0..2 {
        refused(&ask(gateway).await, "This API key has been revoked.");
    }
    let at = "select (extract(epoch from recorded_at) * 1000000)::bigint as microseconds from ledger.events
              where event_type = 'ApiKeyRevoked'";
    let at =
        world.row(at).await["microseconds"].as_u64().map(Duration::from_micros).expect("the revocation is in the log");
    let took = returned.duration_since(SystemTime::UNIX_EPOCH + at).expect("first the event, then the reply");
    assert!(took < Duration::from_secs(1), "from the event to the command's return it took {took:?}");
    while let Some(seen) = watching.join_next().await {
        let (answer, last_good) = seen.expect("the gateway answers");
        refused(&answer, "This API key has been revoked.");
        assert!(last_good < returned, "once the command has returned, the key is refused everywhere");
    }
    world.projected().await;
    let row = world.row(&format!("select is_active from api_keys where id = '{}'", text(&revoked, "api_key_id"))).await;
    assert_eq!(row["is_active"], false);

    // The account's other keys are as good as before.
    let other = world.ledger(&["key", "issue", "--account", &account.account_id]);
    assert_eq!(world.ask(&text(&other, "key"), &chat(HAIKU, 10, "")).await.status, 200);
    // A gateway that comes later has heard no broadcast, and refuses all the same.
    world.stack.gateway(1).stop().expect("the gateway stops");
    blocking(|| world.stack.gateway(1).restart().expect("the gateway comes back"));
    refused(&ask(1).await, "This API key has been revoked.");
    world.close().await;
}

fn text(object: &serde_json::Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

/// 401 in OpenAI's words; gives the body.
fn refused(answer: &Answer, message: &str) -> String {
    let error = answer.error();
    assert_eq!((answer.status, answer.code().as_str()), (401, "invalid_api_key"), "{error}");
    assert_eq!(error["type"], "invalid_request_error", "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.starts_with(message)), "{error}");
    answer.text()
}
