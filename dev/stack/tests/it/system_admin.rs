//! An operator's day over HTTP: every change is an event that says who did it and why, and works at once.

use hyper::Method;
use serde_json::{Value, json};

use super::system_kit::{Answer, HAIKU, World, chat, request};

/// Asks the first gateway as the operator.
async fn admin(world: &World, method: Method, path: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {}", world.stack.admin_key());
    let headers = [("authorization", authorization.as_str()), ("x-layers-actor", "billing")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    world.client().send(request(method, &format!("/admin/v1/{path}"), &headers, body)).await
}

async fn post(world: &World, path: &str, body: Value) -> Value {
    let answer = admin(world, Method::POST, path, &body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn get(world: &World, path: &str) -> Value {
    let answer = admin(world, Method::GET, path, &Value::Null).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

async fn refused(world: &World, path: &str, body: Value, status: u16, code: &str) {
    let answer = admin(world, Method::POST, path, &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_day() {
    let world = World::start();
    let opened =
        post(&world, "accounts", json!({ "tier": "free", "reference": "customer-1", "why": "signed up" })).await;
    let again = post(&world, "accounts", json!({ "tier": "free", "reference": "customer-1" })).await;
    let id = opened["account_id"].as_str().expect("an id").to_owned();
    assert_eq!(again["account_id"], id.as_str());

    let account = format!("accounts/{id}");
    let credits = json!({ "credits": "20", "reference": "payment-1", "why": "paid by card" });
    let added = post(&world, &format!("{account}/credits"), credits.clone()).await;
    assert_eq!((&added["available"], &added["repeated"]), (&"20".into(), &false.into()));
    assert_eq!(post(&world, &format!("{account}/credits"), credits).await["repeated"], true);
    let reused = json!({ "credits": "21", "reference": "payment-1" });
    refused(&world, &format!("{account}/credits"), reused, 409, "reference_reused").await;
    let adjusted =
        post(&world, &format!("{account}/adjustments"), json!({ "credits": "-5.5", "reference": "t-7" })).await;
    assert_eq!(adjusted["balance"], "14.5");
    let too_much = json!({ "credits": "-15", "reference": "t-8" });
    refused(&world, &format!("{account}/adjustments"), too_much, 409, "insufficient_credits").await;
    let changed = post(&world, &format!("{account}/tier"), json!({ "tier": "team", "why": "upgrade" })).await;
    assert_eq!(changed["tier"], "team");
    let shown = get(&world, &account).await;
    assert_eq!((&shown["tier"], &shown["credits"]["available"]), (&"team".into(), &"14.5".into()));

    // A key works with the answer, and does not with the next one.
    let issued = post(&world, &format!("{account}/keys"), json!({ "name": "ci", "why": "for the build" })).await;
    let key = issued["key"].as_str().expect("a key").to_owned();
    assert_eq!(world.ask(&key, &chat(HAIKU, 10, "")).await.status, 200);
    let sandbox = post(&world, &format!("{account}/keys"), json!({ "name": "test", "sandbox": true })).await;
    assert_eq!(sandbox["account_id"], opened["sandbox_account_id"]);
    let keys = get(&world, &format!("{account}/keys?limit=1")).await;
    assert_eq!((&keys["data"][0]["name"], &keys["has_more"]), (&"ci".into(), &false.into()));
    assert!(!keys.to_string().contains(&key), "a secret is shown once");
    let revoke = format!("keys/{}/revoke", issued["api_key_id"].as_str().expect("an id"));
    let revoked = post(&world, &revoke, Value::Null).await;
    assert_eq!(world.ask(&key, &chat(HAIKU, 10, "")).await.status, 401);

    // Accounts, page by page.
    let mut after = String::new();
    let mut ids = Vec::new();
    loop {
        let page = get(&world, &format!("accounts?limit=1{after}")).await;
        ids.extend(page["data"].as_array().expect("a list").iter().map(|account| account["account_id"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids, [opened["account_id"].clone(), opened["sandbox_account_id"].clone()]);

    // Margins are a new version of the prices, by which the next request is charged.
    let before = get(&world, "prices").await["book"]["version"].as_u64().expect("a version");
    let margins = post(&world, "margins", json!({ "models": { HAIKU: 0 }, "based_on": before, "why": "a gift" })).await;
    assert_eq!(margins["book"]["version"], before + 1);
    refused(&world, "margins", json!({ "default_margin_bps": 1, "based_on": before }), 409, "reference_reused").await;
    refused(&world, "margins", json!({ "models": { "no/model": 1 } }), 400, "unknown_model").await;
    refused(&world, "prices", json!({ "catalogue": { "models": [{}] } }), 400, "bad_price_book").await;
    let key = post(&world, &format!("{account}/keys"), json!({ "name": "after" })).await["key"].clone();
    let answer = world
        .until("the new margin is in force", async || {
            let answer = world.ask(key.as_str().expect("a key"), &chat(HAIKU, 10, "")).await;
            let row = world.usage_log(&answer.request_id()).await;
            (row["price_version"] == before + 1).then_some(row)
        })
        .await;
    let cost: f64 = answer["cost_usd"].as_str().and_then(|text| text.parse().ok()).expect("a cost");
    let charge: f64 = answer["credits_used"].as_str().and_then(|text| text.parse().ok()).expect("a charge");
    assert!((cost * 100.0 - charge).abs() < 1e-9, "no margin: {answer}");

    // What nobody can mean.
    let nobody = "accounts/01900000-0000-7000-8000-000000000000";
    assert_eq!(admin(&world, Method::GET, nobody, &Value::Null).await.status, 404);
    assert_eq!(admin(&world, Method::GET, "accounts/x", &Value::Null).await.status, 400);
    assert_eq!(admin(&world, Method::GET, "accounts?limit=0", &Value::Null).await.status, 400);
    refused(&world, &format!("{account}/credits"), json!({ "credits": 5, "reference": "x" }), 400, "invalid_type")
        .await;
    refused(&world, &format!("{account}/credits"), json!({ "credits": "5" }), 400, "missing_required_parameter").await;
    refused(&world, "accounts", json!({ "tier": "free", "owner": "x" }), 400, "unknown_parameter").await;

    // Each change is an event with who and why, at the position that was answered.
    for (answer, kind, why) in [
        (&opened, "AccountOpened", "signed up"),
        (&added, "CreditsAdded", "paid by card"),
        (&adjusted, "CreditsAdjusted", "by the admin API"),
        (&changed, "TierChanged", "upgrade"),
        (&issued, "ApiKeyIssued", "for the build"),
        (&revoked, "ApiKeyRevoked", "by the admin API"),
        (&margins, "PriceBookPublished", "a gift"),
    ] {
        let sql = format!(
            "select event_type, convert_from(event, 'UTF8')::json -> 'data' as data from ledger.events where position = {}",
            answer["position"]
        );
        let row = world.row(&sql).await;
        assert_eq!((&row["event_type"], &row["data"]["by"]), (&kind.into(), &"billing".into()), "{row}");
        assert_eq!(row["data"]["why"], why, "{row}");
    }
    world.close().await;
}
