//! What a key may do beside what its account may: the models on its list, and no more than its cap, at however many gateways it
//! is used at once, and whoever is killed meanwhile.

use serde_json::Value;
use stack::local::StackOptions;
use tokio::task::JoinSet;

use super::system_kit::{Answer, HAIKU, SONNET, World, blocking, chat, worked_example};

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_asks_the_models_on_its_list_and_no_others() {
    let world = World::start();
    let account = world.account("team", "10");
    let issue = ["key", "issue", "--account", &account.account_id, "--model", HAIKU, "--model", "openai/*"];
    let key = text(&world.ledger(&issue), "key");
    for model in [HAIKU, "claude-haiku-4.5", "openai/gpt-4o-mini"] {
        let answer = world.ask(&key, &chat(model, 10, "")).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
    }
    let answer = world.ask(&key, &chat(SONNET, 10, "")).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "model_not_allowed"), "{}", answer.text());
    assert_eq!(answer.error()["param"], "model");
    assert_eq!(world.ask(&account.key, &chat(SONNET, 10, "")).await.status, 200, "other keys are as free as before");

    let listed = world.client().get("/v1/models", Some(&key)).await.json();
    let ids: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|model| text(model, "id")).collect();
    assert!(
        ids.contains(&HAIKU.to_owned()) && ids.iter().all(|id| id == HAIKU || id.starts_with("openai/")),
        "{ids:?}"
    );
    // Refused before any hold: the books know nothing of it.
    assert!(world.events_of(&answer.request_id()).await.is_empty());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_holds_for_all_gateways_together_and_through_the_death_of_the_ledger() {
    let world = World::start_with(StackOptions { gateways: 3, lease_seconds: Some(2), ..StackOptions::default() });
    let account = world.account("team", "1000");
    let issue = ["key", "issue", "--account", &account.account_id, "--cap", "40", "--cap-period", "total"];
    let issued = world.ledger(&issue);
    let (key, id) = (text(&issued, "key"), text(&issued, "key_id"));
    // 3.36 credits each: eleven fit into 40.
    let request = worked_example("latency_ms=20");

    let mut at_once = JoinSet::new();
    for number in 0..60 {
        let (client, key, request) = (world.client_of(number % 3), key.clone(), request.clone());
        at_once.spawn(async move { client.chat(&key, &request).await });
    }
    let mut paid = 0;
    while let Some(answer) = at_once.join_next().await {
        paid += u32::from(is_paid(&answer.expect("a client ends")));
    }
    assert!(paid >= 5, "so many holds fit into 40 credits; {paid} were paid");

    // The ledger is killed while requests are on their way, and the next one knows what was promised.
    let mut at_once = JoinSet::new();
    for number in 0..12 {
        let (client, key, request) = (world.client_of(number % 3), key.clone(), request.clone());
        at_once.spawn(async move { client.chat(&key, &request).await });
    }
    world.stack.ledger().kill();
    blocking(|| world.stack.ledger().restart().expect("the ledger comes back"));
    while let Some(answer) = at_once.join_next().await {
        let answer = answer.expect("a client ends");
        assert!([200, 402, 503].contains(&answer.status), "{}", answer.text());
    }

    // To the last credit.
    let last = world
        .until("the cap is reached", async || {
            for gateway in 0..3 {
                let answer = world.client_of(gateway).chat(&key, &request).await;
                if answer.status == 402 && answer.header("x-should-retry") == Some("false") {
                    return Some(answer);
                }
                assert!([200, 402, 503].contains(&answer.status), "{}", answer.text());
            }
            None
        })
        .await;
    assert_eq!(last.code(), "key_cap_reached", "{}", last.text());
    assert_eq!(last.error()["credits_available"], "3.04", "11 times 3.36 is 36.96: {}", last.text());
    world.quiet().await;
    let spent = format!("select sum(credits_used) = 36.96 as same from usage_logs where api_key_id = '{id}'");
    assert_eq!(world.row(&spent).await["same"], true);
    let counted =
        "select held, charged, (select count(*) from ledger.key_reservations) as promised from ledger.key_spending";
    let counted = world.row(counted).await;
    assert_eq!((&counted["held"], &counted["charged"]), (&0.into(), &36_960_000_000_u64.into()), "{counted}");
    assert_eq!(counted["promised"], 0, "{counted}");
    // The account has more, and its other keys spend it.
    assert!(is_paid(&world.ask(&account.key, &request).await));
    world.close().await;
}

fn is_paid(answer: &Answer) -> bool {
    match (answer.status, answer.status == 402 && answer.code() == "key_cap_reached") {
        (200, _) => true,
        (402, true) => false,
        _ => panic!("{} {}", answer.status, answer.text()),
    }
}
