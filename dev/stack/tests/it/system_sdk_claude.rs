//! Anthropic's official SDK, unmodified. What its caller sees is told by `sdk/claude.py`; each charge is the price of what
//! the SDK saw.

use serde_json::{Value, json};
use stack::sdk::Sdk;

use super::system_kit::{World, blocking, told_by};

#[tokio::test(flavor = "multi_thread")]
async fn the_unmodified_anthropic_sdk_gets_messages_and_its_own_exceptions() {
    let world = World::start();
    let (rich, poor) = (world.account("team", "100"), world.account("team", "0.001"));
    let base_url = world.stack.gateway_url(0);
    let environment =
        [("ANTHROPIC_BASE_URL", &*base_url), ("ANTHROPIC_API_KEY", &rich.key), ("POOR_API_KEY", &poor.key)];
    let seen = blocking(|| told_by(Sdk::Claude, "claude.py", &environment));
    answers(&seen);
    errors(&seen);
    for what in ["whole", "bearer", "short", "streamed", "limited", "thought", "image_in"] {
        let told = &seen[what];
        let row = world.usage_log(told["request_id"].as_str().unwrap_or_default()).await;
        assert_eq!(
            (&row["account_id"], &row["request_type"]),
            (&(*rich.account_id).into(), &"message".into()),
            "{row}"
        );
        assert_eq!((&row["status"], &row["usage_source"]), (&"success".into(), &"provider".into()), "{row}");
        assert!(told["cost_credits"].is_null() || row["credits_used"] == told["cost_credits"], "{what}: {told}: {row}");
        // Anthropic counts tokens from and for the cache beside the input.
        let count = |name: &str| told[name].as_u64().unwrap_or_default();
        assert_eq!(row["input_tokens"], count("input") + count("cached") + count("written"), "{what}: {told}: {row}");
        assert_eq!(
            (&row["output_tokens"], &row["cached_tokens"], &row["cache_write_tokens"]),
            (&told["output"], &count("cached").into(), &count("written").into()),
            "{what}: {row}"
        );
    }
    world.close().await;
}

fn answers(seen: &Value) {
    // 100 tokens in at $1, 40 cached at $0.10, 60 written to the cache at $1.25 and 30 out at $5 a million, and 60 %.
    let credits = json!("0.05264");
    for how in ["whole", "streamed"] {
        let answer = &seen[how];
        assert_eq!(answer["text"].as_str().map(str::len), Some(120), "{how}: {answer}");
        assert_eq!((&answer["stop_reason"], &answer["input"]), (&"end_turn".into(), &100.into()), "{how}: {answer}");
        assert_eq!((&answer["cached"], &answer["written"], &answer["output"]), (&40.into(), &60.into(), &30.into()));
    }
    assert_eq!((&seen["whole"]["cost_credits"], &seen["whole"]["cost"]), (&credits, &json!(0.0005264)));
    assert_eq!((&seen["streamed"]["delta_cost"], &seen["streamed"]["output_of_delta"]), (&credits, &30.into()));
    assert_eq!(seen["streamed"]["last"], "message_stop");
    assert_eq!((&seen["limited"]["stop_reason"], &seen["limited"]["output"]), (&"max_tokens".into(), &16.into()));
    assert_eq!(seen["thought"]["blocks"], json!(["thinking", "text"]));
    let input = json!({ "text": "simulated" });
    let called =
        json!({ "name": "say", "input": input, "streamed": input, "stop_reason": "tool_use", "after": "end_turn" });
    assert_eq!(seen["tool"], called);
    assert_eq!(seen["image_in"]["text"].as_str().map(str::len), Some(20));
    assert_eq!(seen["models"][0], "anthropic/claude-haiku-4.5");
}

fn errors(seen: &Value) {
    for (what, class, status, kind, code) in [
        ("stranger", "AuthenticationError", 401, "authentication_error", json!("invalid_api_key")),
        ("poor", "PaymentRequiredError", 402, "billing_error", json!("insufficient_credits")),
        ("unknown_model", "NotFoundError", 404, "not_found_error", json!("model_not_found")),
        ("bad_request", "BadRequestError", 400, "invalid_request_error", json!("integer_below_min_value")),
        ("hosted", "BadRequestError", 400, "invalid_request_error", json!("unsupported_parameter")),
        ("hour", "BadRequestError", 400, "invalid_request_error", json!("unsupported_parameter")),
        ("provider_failed", "InternalServerError", 502, "api_error", json!("upstream_error")),
    ] {
        let error = &seen["errors"][what];
        assert_eq!((&error["class"], &error["status"]), (&class.into(), &status.into()), "{what}: {error}");
        assert_eq!((&error["shape"], &error["type"]), (&"error".into(), &kind.into()), "{what}: {error}");
        assert_eq!(error["code"], code, "{what}: {error}");
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {error}");
        assert!(error["request_id"].as_str().is_some_and(|id| id.len() == 36), "{what}: {error}");
    }
    let broken = &seen["broken"];
    assert_eq!(broken["heard"], 3, "what came before the break is the caller's");
    assert_eq!(
        (&broken["error"]["shape"], &broken["error"]["type"]),
        (&"error".into(), &"api_error".into()),
        "{broken}"
    );
}
