//! The official OpenAI SDKs, unmodified: Python, and both majors for Node. What their callers see is told by
//! `sdk/story.py` and `sdk/story.mjs`.

use serde_json::{Value, json};
use stack::local::Account;
use stack::sdk::Sdk;

use super::system_kit::{World, blocking, told_by};

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_sdks_get_answers_and_their_own_exceptions() {
    let world = World::start();
    for sdk in Sdk::ALL {
        let rich = world.account("team", "100");
        let poor = world.account("team", "0.001");
        let limited = world.account("free", "1");
        let refused = world.metric(0, INSUFFICIENT).await;
        let reused = world.metric(0, REUSED).await;
        let seen = blocking(|| tell(&world, sdk, &rich, &poor, &limited));
        answers(sdk, &seen);
        errors(sdk, &seen);
        let refused = world.metric(0, INSUFFICIENT).await - refused;
        assert_eq!(refused, 1, "{sdk:?} does not ask again after a 402: x-should-retry");
        let reused = world.metric(0, REUSED).await - reused;
        assert_eq!(reused, 1, "{sdk:?} does not ask again where another key is needed, though it is a 409");
        paid(&world, sdk, &seen, &rich).await;
    }
    world.close().await;
}

const REUSED: &str = "layers_idempotency_requests_total{outcome=\"reused\"}";
const INSUFFICIENT: &str = "layers_requests_total{outcome=\"insufficient_credits\"}";

/// What a caller of this SDK sees.
fn tell(world: &World, sdk: Sdk, rich: &Account, poor: &Account, limited: &Account) -> Value {
    let base_url = format!("{}/v1", world.stack.gateway_url(0));
    let environment = [
        ("OPENAI_BASE_URL", &*base_url),
        ("OPENAI_API_KEY", &rich.key),
        ("POOR_API_KEY", &poor.key),
        ("LIMITED_API_KEY", &limited.key),
    ];
    told_by(sdk, if sdk == Sdk::Python { "story.py" } else { "story.mjs" }, &environment)
}

fn answers(sdk: Sdk, seen: &Value) {
    // 20 tokens in and 30 out of claude-haiku-4.5: 170 millionths of a dollar and 60 %.
    let (cost, credits) = (json!(0.000272), json!("0.0272"));
    for how in ["whole", "streamed"] {
        let answer = &seen[how];
        assert_eq!(answer["content"].as_str().map(str::len), Some(120), "{sdk:?}, {how}: {answer}");
        assert_eq!(answer["finish_reason"], "stop", "{sdk:?}, {how}: {answer}");
        assert_eq!(answer["completion_tokens"], 30, "{sdk:?}, {how}: {answer}");
        assert_eq!((&answer["cost"], &answer["cost_credits"]), (&cost, &credits), "{sdk:?}, {how}: {answer}");
        assert!(is_id(&answer["request_id"]), "{sdk:?}, {how}: {answer}");
    }
    assert_eq!((&seen["whole"]["prompt_tokens"], &seen["whole"]["header"]), (&20.into(), &credits), "{sdk:?}");
    let plain = &seen["streamed_without_usage"];
    assert_eq!((&plain["content"], &plain["cost"]), (&seen["streamed"]["content"], &Value::Null), "{sdk:?}: {plain}");

    let arguments = json!({ "text": "simulated" });
    let called = json!({ "content": null, "name": "say", "arguments": arguments, "after": "stop" });
    assert_eq!(seen["tool_whole"], called, "{sdk:?}");
    let called = json!({ "ids": 1, "name": "say", "arguments": arguments, "finish_reason": "tool_calls",
        "final": ["say", arguments] });
    assert_eq!(seen["tool_streamed"], called, "{sdk:?}");

    let image = &seen["image"];
    assert_eq!(image["prompt_tokens"], 90, "{sdk:?}");
    assert_eq!(image["content"].as_str().map(str::len), Some(20), "{sdk:?}: {image}");
    assert_eq!(image["streamed"], image["content"], "{sdk:?}");

    let repeated = &seen["repeated"];
    assert_eq!(repeated["replays"], json!([null, "true"]), "{sdk:?}: {repeated}");
    assert_eq!(repeated["request_ids"][0], repeated["request_ids"][1], "{sdk:?}: {repeated}");
    assert_eq!((&repeated["is_the_same"], &repeated["is_the_same_stream"]), (&true.into(), &true.into()), "{sdk:?}");

    let models = &seen["models"];
    assert_eq!((&models["listed"], &models["has_model"]), (&54.into(), &true.into()), "{sdk:?}: {models}");
    assert_eq!(models["id"], "anthropic/claude-haiku-4.5", "{sdk:?}: the SDK writes the slash as %2F");
    assert_eq!((&models["name"], &models["input"]), (&"Claude Haiku 4.5".into(), &"1.6".into()), "{sdk:?}");
    assert!(is_id(&models["request_id"]), "{sdk:?}: {models}");
}

fn errors(sdk: Sdk, seen: &Value) {
    // What has no class of its own.
    let other = if sdk == Sdk::Python { "APIStatusError" } else { "APIError" };
    for (what, class, status, code) in [
        ("stranger", "AuthenticationError", 401, json!("invalid_api_key")),
        ("poor", other, 402, json!("insufficient_credits")),
        ("unknown_model", "NotFoundError", 404, json!("model_not_found")),
        ("unknown_model_retrieved", "NotFoundError", 404, json!("model_not_found")),
        ("bad_request", "BadRequestError", 400, json!("integer_below_min_value")),
        ("limited", "RateLimitError", 429, json!("rate_limit_exceeded")),
        ("provider_failed", "InternalServerError", 502, json!("upstream_error")),
        ("reused", "ConflictError", 409, json!("idempotency_key_reused")),
    ] {
        let error = if what == "reused" { &seen["repeated"][what] } else { &seen["errors"][what] };
        assert_eq!((&error["class"], &error["status"]), (&class.into(), &status.into()), "{sdk:?}, {what}: {error}");
        assert_eq!(error["code"], code, "{sdk:?}, {what}: {error}");
        assert!(is_id(&error["request_id"]), "{sdk:?}, {what}: {error}");
    }
    assert_eq!(seen["errors"]["bad_request"]["param"], "n", "{sdk:?}");
    assert!(seen["errors"]["poor"]["credits_needed"].is_string(), "{sdk:?}: {}", seen["errors"]["poor"]);

    let broken = &seen["broken_stream"];
    assert_eq!(broken["heard"], 3, "{sdk:?}: what came before the break is the caller's");
    assert_eq!((&broken["error"]["class"], &broken["error"]["code"]), (&"APIError".into(), &"upstream_error".into()));
}

/// The answer and the stream that were told are in the table under the ids that the SDK shows.
async fn paid(world: &World, sdk: Sdk, seen: &Value, rich: &Account) {
    for how in ["whole", "streamed"] {
        let row = world.usage_log(seen[how]["request_id"].as_str().unwrap_or_default()).await;
        assert_eq!(row["account_id"], *rich.account_id, "{sdk:?}: {row}");
        assert_eq!((&row["credits_used"], &row["streamed"]), (&"0.0272".into(), &(how == "streamed").into()), "{row}");
    }
}

fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|id| id.len() == 36 && id.as_bytes()[14] == b'7')
}
