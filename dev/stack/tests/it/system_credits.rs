//! `GET /v1/credits`: what an account has, in decimal texts, and how old that is.

use serde_json::Value;

use super::system_kit::{HAIKU, World, chat, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn credits_are_told_exactly_and_with_their_age() {
    let world = World::start();
    let account = world.account("team", "10.000000001");
    world.projected().await;
    let get = async |key: &str| {
        let answer = world.client().get("/v1/credits", Some(key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let before = get(&account.key).await;
    assert_eq!(amounts(&before), ["10.000000001", "0", "10.000000001"]);
    assert_eq!(amounts(&get(&account.sandbox_key).await), ["1000000", "0", "1000000"], "a key sees its own account");
    let members: Vec<_> = before.as_object().expect("an object").keys().cloned().collect();
    assert_eq!(members, ["as_of", "available", "balance", "held", "position"]);

    // While a request runs, the most that it can cost is held.
    let stream = world.open(&account.key, &super::system_kit::streamed(chat(HAIKU, 1_000, "chunk_ms=100"))).await;
    let request_id = stream.request_id();
    let held = async || Some(get(&account.key).await).filter(|credits| credits["held"] != "0");
    let during = world.until("the hold is told", held).await;
    let hold = world.events_of(&request_id).await[0]["data"]["hold"].clone();
    assert_eq!((&during["held"], &during["balance"]), (&hold, &before["balance"]), "{during}");
    stream.events().await;
    let answer = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(answer.status, 200);
    world.quiet().await;

    let after = get(&account.key).await;
    let row = world.balance(&account.account_id).await;
    assert_eq!(amounts(&after), ["balance", "held", "available"].map(|name| row[name].as_str().unwrap_or_default()));
    assert_eq!(after["held"], "0");
    // 16 tokens beside 3.36: 0.0128, and what the prompt was.
    let position = |credits: &Value| credits["position"].as_u64().expect("a position");
    assert!(position(&after) > position(&before), "{before} {after}");
    let head = world
        .row("select position, (select max(recorded_at) from ledger.events) as recorded_at from ledger.head")
        .await;
    assert_eq!(after["position"], head["position"]);
    let as_of = after["as_of"].as_str().expect("a time");
    let same = format!("select '{as_of}'::timestamptz = max(recorded_at) as same from ledger.events");
    assert_eq!(world.row(&same).await["same"], true, "{as_of} {head}");
    world.close().await;
}

fn amounts(credits: &Value) -> [&str; 3] {
    ["balance", "held", "available"].map(|name| credits[name].as_str().expect("a decimal text"))
}
