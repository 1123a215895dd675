//! What an account is told of its money, over HTTP: exactly, at once where it has to be, and as `usage_logs` has it.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stack::local::Account;

use super::system_kit::{Answer, HAIKU, SONNET, World, chat, streamed, worked_example};

async fn get(world: &World, key: &str, path: &str) -> Answer {
    let answer = world.client().get(path, Some(key)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer
}

async fn generation(world: &World, key: &str, id: &str) -> Value {
    get(world, key, &format!("/v1/generation?id={id}")).await.json()["data"].take()
}

/// What a generation says is what the books have.
async fn as_logged(world: &World, told: &Value) {
    let row = world.usage_log(told["request_id"].as_str().expect("an id")).await;
    for (theirs, ours) in [
        ("request_id", "request_id"),
        ("upstream_id", "provider_request_id"),
        ("api_key_id", "api_key_id"),
        ("model", "model_id"),
        ("served_model", "served_model_id"),
        ("api_type", "request_type"),
        ("streamed", "streamed"),
        ("status", "status"),
        ("error_code", "error_code"),
        ("error_message", "error_message"),
        ("charged_credits", "credits_used"),
        ("hold_credits", "hold_credits"),
        ("tokens_prompt", "input_tokens"),
        ("tokens_completion", "output_tokens"),
        ("native_tokens_reasoning", "reasoning_tokens"),
        ("native_tokens_cached", "cached_tokens"),
        ("native_tokens_cache_creation", "cache_write_tokens"),
        ("num_media_completion", "images"),
        ("usage_source", "usage_source"),
        ("latency", "ttft_ms"),
        ("generation_time", "latency_ms"),
    ] {
        assert_eq!(told[theirs], row[ours], "{theirs}: {told} {row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_is_told_at_once() {
    let world = World::start();
    let account = world.account("team", "100");
    let key = account.key.as_str();

    // Whole: by the request's id and by the answer's.
    let answer = world.ask(key, &worked_example("")).await;
    let shown = get(&world, key, &format!("/v1/generation?id={}", answer.request_id())).await;
    for exact in [r#""total_cost":0.0336,"#, r#""usage":0.0336,"#, r#""charged_credits":"3.36""#] {
        assert!(shown.text().contains(exact), "{exact} in {}", shown.text());
    }
    let told = shown.json()["data"].take();
    as_logged(&world, &told).await;
    assert_eq!((&told["tokens_prompt"], &told["tokens_completion"]), (&2_000.into(), &1_000.into()), "{told}");
    assert_eq!((&told["status"], &told["cancelled"]), (&"success".into(), &false.into()), "{told}");
    let own = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(told["id"], own.as_str());
    assert_eq!(generation(&world, key, &own).await, told);
    let without_v1 = get(&world, key, &format!("/generation?id={own}")).await.json()["data"].take();
    assert_eq!(without_v1, told);

    // Streamed, by the id that every chunk has, as soon as the last one is there.
    let stream = world.open(key, &streamed(chat(HAIKU, 100, "prompt_tokens=25 completion_tokens=50"))).await;
    let events = stream.events().await;
    let own = events[0].json()["id"].as_str().expect("an id").to_owned();
    let told = generation(&world, key, &own).await;
    assert_eq!((&told["streamed"], &told["charged_credits"]), (&true.into(), &"0.044".into()), "{told}");
    as_logged(&world, &told).await;

    // While it runs there is nothing to tell yet; once the client has left, there is at once.
    let mut stream = world.open(key, &streamed(worked_example("chunks=40 chunk_ms=100"))).await;
    let id = stream.request_id();
    stream.next_contents(3).await;
    let running = world.client().get(&format!("/v1/generation?id={id}"), Some(key)).await;
    assert_eq!((running.status, running.code().as_str()), (404, "generation_not_finished"), "{}", running.text());
    assert_eq!(running.header("retry-after"), Some("1"));
    drop(stream);
    let told = generation(&world, key, &id).await;
    assert_eq!((&told["status"], &told["cancelled"]), (&"cancelled".into(), &true.into()), "{told}");
    assert_eq!((&told["usage_source"], &told["error_code"]), (&"estimated".into(), &"client_gone".into()), "{told}");
    assert!(told["total_cost"].as_f64().is_some_and(|cost| cost > 0.0), "{told}");
    as_logged(&world, &told).await;

    // What failed cost nothing, and says what went wrong.
    let failed = world.ask(key, &chat(HAIKU, 10, "status=500")).await;
    let told = generation(&world, key, &failed.request_id()).await;
    assert_eq!((&told["status"], &told["total_cost"]), (&"error".into(), &0.into()), "{told}");
    assert_eq!((&told["error_code"], &told["model"]), (&"provider_failed".into(), &HAIKU.into()), "{told}");

    // A correction afterwards is in the cost.
    let id = answer.request_id();
    let adjust = ["credits", "adjust", "--account", &account.account_id, "--credits", "0.36", "--request", &id];
    world.ledger(&[&adjust[..], &["--reference", "ticket-1", "--why", "a gift"]].concat());
    let told = get(&world, key, &format!("/v1/generation?id={id}")).await;
    assert!(told.text().contains(r#""total_cost":0.03,"#), "{}", told.text());
    assert_eq!(told.json()["data"]["adjusted_credits"], "0.36");

    for (query, status, code) in [
        ("id=0190b2a4-0000-7000-8000-000000000001", 404, "generation_not_found"),
        ("id=chatcmpl-of-nobody", 404, "generation_not_found"),
        ("id=%00", 404, "generation_not_found"),
        ("id=", 400, "missing_required_parameter"),
        ("", 400, "missing_required_parameter"),
        ("id=x&ID=y", 400, "unknown_parameter"),
    ] {
        let answer = world.client().get(&format!("/v1/generation?{query}"), Some(key)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{query}: {}", answer.text());
    }
    world.close().await;
}

/// A day's requests of one account: two keys, two models, one that failed, one of the sandbox.
async fn some_usage(world: &World, account: &Account) -> String {
    let other = world.ledger(&["key", "issue", "--account", &account.account_id, "--name", "second"]);
    let second = other["key"].as_str().expect("a key").to_owned();
    for (key, body) in [
        (&account.key, worked_example("")),
        (&account.key, chat(HAIKU, 100, "prompt_tokens=25 completion_tokens=50")),
        (&account.key, chat(HAIKU, 100, "status=500")),
        (&second, chat(HAIKU, 100, "prompt_tokens=20 completion_tokens=7")),
        (&second, chat(SONNET, 100, "prompt_tokens=21 completion_tokens=11")),
        (&account.sandbox_key, chat(SONNET, 100, "completion_tokens=13")),
    ] {
        world.ask(key, &body).await;
    }
    world.quiet().await;
    second
}

/// All rows, page by page.
async fn pages(world: &World, key: &str, query: &str, limit: usize) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(world, key, &format!("/v1/usage?limit={limit}&{query}{cursor}")).await.json();
        let data = page["data"].as_array().expect("rows").clone();
        assert!(data.len() <= limit, "{page}");
        rows.extend(data);
        assert_eq!(page["has_more"], page.get("next").is_some(), "{page}");
        let Some(next) = page["next"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_told_by_day_model_and_key_in_pages() {
    let world = World::start();
    let account = world.account("team", "100");
    let second = some_usage(&world, &account).await;
    let key = account.key.as_str();

    for (group_by, columns) in [
        ("day,model,key", "(created_at at time zone 'UTC')::date as day, model_id as model, api_key_id"),
        ("day,model", "(created_at at time zone 'UTC')::date as day, model_id as model, null::uuid as api_key_id"),
        ("model", "null::date as day, model_id as model, null::uuid as api_key_id"),
        ("key", "null::date as day, null as model, api_key_id"),
        ("day", "(created_at at time zone 'UTC')::date as day, null as model, null::uuid as api_key_id"),
    ] {
        let sql = format!(
            "select {columns}, count(*) as requests, count(*) filter (where status = 'error') as failed,
                sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens,
                trim_scale(sum(credits_used))::text as credits, trim_scale(sum(credits_used) / 100) as cost
             from usage_logs where account_id = '{}' group by 1, 2, 3",
            account.account_id
        );
        let mut expected = world.rows(&sql).await;
        assert!(!expected.is_empty());
        for limit in [1, 2, 100] {
            let told = pages(&world, key, &format!("group_by={group_by}"), limit).await;
            let told: Vec<Value> = told.into_iter().map(|row| only(&row, &expected[0])).collect();
            let mut sorted = told.clone();
            sorted.sort_by_key(Value::to_string);
            expected.sort_by_key(Value::to_string);
            assert_eq!(sorted, expected, "{group_by} by {limit}");
            let days: Vec<_> = told.iter().map(|row| row["day"].as_str().unwrap_or_default()).collect();
            assert!(days.is_sorted_by(|one, next| one >= next), "newest first: {days:?}");
        }
    }
    // Everything is grouped by where nothing is said.
    assert_eq!(pages(&world, key, "", 100).await, pages(&world, key, "group_by=day,model,key", 100).await);
    let names: BTreeMap<_, _> = pages(&world, key, "group_by=key", 100)
        .await
        .into_iter()
        .map(|row| (row["api_key_name"].as_str().unwrap_or_default().to_owned(), row["requests"].clone()))
        .collect();
    assert_eq!(json!(names), json!({ "live": 3, "second": 2 }));

    // Only one key's, only one model's, by either key of the account; the sandbox is an account of its own.
    let shown = get(&world, &second, "/v1/key").await.json();
    let id = shown["data"]["id"].as_str().expect("an id");
    let only_second = pages(&world, key, &format!("group_by=model&api_key_id={id}"), 100).await;
    assert_eq!(only_second.iter().map(|row| &row["requests"]).collect::<Vec<_>>(), [1, 1], "{only_second:?}");
    let haiku = pages(&world, &second, &format!("group_by=day&model={HAIKU}"), 100).await;
    assert_eq!((haiku.len(), &haiku[0]["requests"], &haiku[0]["failed"]), (1, &3.into(), &1.into()), "{haiku:?}");
    let sandbox = pages(&world, &account.sandbox_key, "group_by=model", 100).await;
    assert_eq!((sandbox.len(), &sandbox[0]["output_tokens"]), (1, &13.into()), "{sandbox:?}");

    // How old it is; and nothing at all is told with its age as well.
    let head = world.row("select position from ledger.head").await;
    for query in ["", "from=2020-01-01&until=2020-01-02&group_by=day", "from=2020-01-01&until=2020-01-02"] {
        let page = get(&world, key, &format!("/v1/usage?{query}")).await.json();
        assert_eq!(page["position"], head["position"], "{page}");
        assert!(page["as_of"].is_string() && (query.is_empty() || page["data"] == json!([])), "{page}");
    }
    for (query, param) in [
        ("group_by=hour", json!("group_by")),
        ("limit=0", json!("limit")),
        ("limit=1001", json!("limit")),
        ("cursor=x", json!("cursor")),
        ("from=2026-01-02&until=2026-01-02", json!("until")),
        ("from=2020-01-01", json!("from")),
        ("from=yesterday", json!("from")),
        ("model=%00", json!("model")),
    ] {
        let answer = world.client().get(&format!("/v1/usage?{query}"), Some(key)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_value"), "{query}: {}", answer.text());
        assert_eq!(answer.error()["param"], param, "{query}: {}", answer.text());
    }
    world.close().await;
}

/// Of a row, the members that another one has.
fn only(row: &Value, as_in: &Value) -> Value {
    let names = as_in.as_object().expect("an object").keys();
    names.map(|name| (name.clone(), row[name].clone())).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_told_its_limits_and_a_front_end_what_is_left() {
    let world = World::start();
    let account = world.account("pro", "100.000000001");
    let issue = ["key", "issue", "--account", &account.account_id, "--name", "capped", "--model", "anthropic/*"];
    let issued = world.ledger(&[&issue[..], &["--cap", "5", "--cap-period", "day"]].concat());
    let capped = issued["key"].as_str().expect("a key");
    // At once: what the ledger knows of it is not a read model's.
    let before = get(&world, capped, "/v1/key").await.json()["data"].take();
    assert_eq!((&before["name"], &before["limit_remaining_credits"]), (&"capped".into(), &"5".into()), "{before}");

    assert_eq!(world.ask(capped, &worked_example("")).await.status, 200);
    assert_eq!(world.ask(&account.key, &chat(HAIKU, 100, "prompt_tokens=25 completion_tokens=50")).await.status, 200);
    world.quiet().await;
    let shown = get(&world, capped, "/v1/key").await;
    for exact in [
        r#""limit":0.05,"#,
        r#""limit_remaining":0.0164,"#,
        r#""limit_remaining_credits":"1.64""#,
        r#""usage":0.0336,"#,
        r#""usage_daily":0.0336,"#,
        r#""usage_monthly":0.0336,"#,
    ] {
        assert!(shown.text().contains(exact), "{exact} in {}", shown.text());
    }
    let told = shown.json()["data"].take();
    for (member, value) in [
        ("limit_reset", json!("daily")),
        ("models", json!(["anthropic/*"])),
        ("is_free_tier", json!(false)),
        ("tier", json!("pro")),
        ("rate_limit", json!({ "requests": 300, "interval": "1m" })),
        ("account_id", json!(account.account_id)),
        ("livemode", json!(true)),
    ] {
        assert_eq!(told[member], value, "{member}: {told}");
    }
    assert!(told["label"].as_str().is_some_and(|label| capped.starts_with(label.trim_end_matches('.'))), "{told}");
    assert!(!shown.text().contains(capped), "the secret is not repeated");
    let free = get(&world, &account.key, "/key").await.json()["data"].take();
    assert_eq!((&free["limit"], &free["limit_remaining"]), (&Value::Null, &Value::Null), "{free}");
    assert_eq!(free["usage_credits"], "0.044", "its own usage, not its account's: {free}");

    // A front-end shows the limit less the usage of this month.
    let subscription = get(&world, capped, "/v1/dashboard/billing/subscription").await;
    assert!(subscription.text().contains(r#""hard_limit_usd":1.00000000001,"#), "{}", subscription.text());
    assert_eq!(subscription.json()["balance_credits"], "96.596000001");
    let usage = get(&world, capped, "/dashboard/billing/usage").await;
    assert!(usage.text().contains(r#""total_usage":3.404,"#), "{}", usage.text());
    let told = usage.json();
    let today = told["daily_costs"].as_array().expect("days").last().expect("today").clone();
    let mut items = today["line_items"].as_array().expect("models").clone();
    items.sort_by_key(Value::to_string);
    assert_eq!(items, [json!({ "name": HAIKU, "cost": 0.044 }), json!({ "name": SONNET, "cost": 3.36 })]);
    let nothing = "/v1/dashboard/billing/usage?start_date=2020-01-01&end_date=2020-01-03";
    let nothing = get(&world, &account.key, nothing).await.json();
    assert_eq!((&nothing["total_usage"], &nothing["total_credits"]), (&0.into(), &"0".into()), "{nothing}");
    assert_eq!(nothing["daily_costs"].as_array().map(Vec::len), Some(2), "{nothing}");
    let wrong = "/v1/dashboard/billing/usage?start_date=2020-01-03&end_date=2020-01-03";
    let wrong = world.client().get(wrong, Some(&account.key)).await;
    assert_eq!((wrong.status, &wrong.error()["param"]), (400, &"end_date".into()), "{}", wrong.text());
    world.close().await;
}
