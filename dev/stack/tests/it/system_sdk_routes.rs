//! The official OpenAI SDKs, unmodified, on responses, embeddings and images. What their callers see is told by
//! `sdk/routes.py` and `sdk/routes.mjs`; each charge is the price of what the SDK saw.

use serde_json::{Value, json};
use stack::local::Account;
use stack::sdk::Sdk;

use super::system_kit::{World, blocking, told_by};

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_sdks_get_responses_embeddings_and_images() {
    let world = World::start();
    for sdk in Sdk::ALL {
        let account = world.account("team", "100");
        let base_url = format!("{}/v1", world.stack.gateway_url(0));
        let environment = [("OPENAI_BASE_URL", &*base_url), ("OPENAI_API_KEY", &account.key)];
        let script = if sdk == Sdk::Python { "routes.py" } else { "routes.mjs" };
        let seen = blocking(|| told_by(sdk, script, &environment));
        responses(sdk, &seen);
        embeddings_and_images(sdk, &seen);
        errors(sdk, &seen);
        paid(&world, sdk, &seen, &account).await;
    }
    world.close().await;
}

fn responses(sdk: Sdk, seen: &Value) {
    for how in ["whole", "streamed"] {
        let answer = &seen[how];
        assert_eq!(answer["text"].as_str().map(str::len), Some(120), "{sdk:?}, {how}: {answer}");
        assert_eq!(answer["status"], "completed", "{sdk:?}, {how}: {answer}");
        // 16 tokens in at $1, 4 cached at $0.10 and 30 out at $5 a million, and 60 %.
        assert_eq!(
            (&answer["cost"], &answer["cost_credits"]),
            (&json!(0.00026624), &json!("0.026624")),
            "{sdk:?}: {answer}"
        );
    }
    let streamed = &seen["streamed"];
    assert_eq!((&streamed["first"], &streamed["last"]), (&"response.created".into(), &"response.completed".into()));
    assert_eq!(streamed["ordered"], true, "{sdk:?}: {streamed}");
    assert_eq!(seen["limited"]["status"], "incomplete", "{sdk:?}");
    assert_eq!((&seen["limited"]["output"], &seen["limited_streamed"]["output"]), (&16.into(), &16.into()), "{sdk:?}");
    assert_eq!(seen["limited_streamed"]["last"], "response.incomplete", "{sdk:?}");
    assert_eq!(seen["thought"]["text"].as_str().map(str::len), Some(40), "{sdk:?}: 20 of 30 tokens were thought");
    assert_eq!(seen["schema"]["output"], 3, "{sdk:?}");
    let arguments = json!({ "text": "simulated" });
    let called = json!({ "name": "say", "arguments": arguments, "streamed": arguments, "after": "completed" });
    assert_eq!(seen["tool"], called, "{sdk:?}");
    assert_eq!((&seen["image_in"]["input"], &seen["image_in"]["output"]), (&90.into(), &5.into()), "{sdk:?}");
}

fn embeddings_and_images(sdk: Sdk, seen: &Value) {
    let embeddings = &seen["embeddings"];
    assert_eq!((&embeddings["length"], &embeddings["same"]), (&256.into(), &true.into()), "{sdk:?}: {embeddings}");
    // A provider that sends numbers where text was asked for makes no SDK read an empty vector.
    assert_eq!((&embeddings["ignored"], &embeddings["nonzero"]), (&256.into(), &true.into()), "{sdk:?}: {embeddings}");
    assert_eq!((&embeddings["many"], &embeddings["tokens"]), (&json!([8, 8]), &5.into()), "{sdk:?}: {embeddings}");
    // 3 tokens at $0.02 a million, and 60 %.
    assert_eq!((&embeddings["input"], &embeddings["cost_credits"]), (&3.into(), &"0.0000096".into()), "{sdk:?}");
    let images = &seen["images"];
    assert_eq!(
        (&images["count"], &images["is_png"], &images["images"]),
        (&2.into(), &true.into(), &2.into()),
        "{sdk:?}"
    );
    // Two at $0.03, and 60 %.
    assert_eq!((&images["cost"], &images["cost_credits"]), (&json!(0.096), &"9.6".into()), "{sdk:?}: {images}");
}

fn errors(sdk: Sdk, seen: &Value) {
    let invalid = "invalid_request_error";
    for (what, class, status, kind, code, param) in [
        ("stored", "BadRequestError", 400, invalid, "unsupported_parameter", "previous_response_id"),
        ("hosted", "BadRequestError", 400, invalid, "unsupported_parameter", "tools[0].type"),
        ("not_here", "BadRequestError", 400, invalid, "invalid_value", "model"),
        ("no_chat", "BadRequestError", 400, invalid, "invalid_value", "model"),
        ("no_embedding", "BadRequestError", 400, invalid, "invalid_value", "model"),
        ("no_image", "BadRequestError", 400, invalid, "invalid_value", "model"),
        ("unknown_image", "BadRequestError", 400, "image_generation_user_error", "invalid_value", "model"),
        ("size", "BadRequestError", 400, "image_generation_user_error", "invalid_value", "size"),
    ] {
        let error = &seen["errors"][what];
        let expected = json!({ "class": class, "status": status, "type": kind, "code": code, "param": param });
        assert_eq!(*error, expected, "{sdk:?}, {what}");
    }
    let broken = &seen["broken"];
    assert_eq!(broken["heard"], 3, "{sdk:?}: what came before the break is the caller's");
    assert_eq!((&broken["error"]["class"], &broken["error"]["code"]), (&"APIError".into(), &"upstream_error".into()));
}

/// What the SDK saw stands in the table, and is what the account paid for it.
async fn paid(world: &World, sdk: Sdk, seen: &Value, account: &Account) {
    for (what, kind) in [
        ("whole", "response"),
        ("streamed", "response"),
        ("limited", "response"),
        ("limited_streamed", "response"),
        ("thought", "response"),
        ("image_in", "response"),
        ("embeddings", "embedding"),
        ("images", "image"),
    ] {
        let told = &seen[what];
        let row = world.usage_log(told["request_id"].as_str().unwrap_or_default()).await;
        assert_eq!((&row["account_id"], &row["request_type"]), (&(*account.account_id).into(), &kind.into()), "{row}");
        assert_eq!(row["credits_used"], told["cost_credits"], "{sdk:?}, {what}: {row}");
        assert_eq!((&row["status"], &row["usage_source"]), (&"success".into(), &"provider".into()), "{row}");
        for (ours, theirs) in [("input_tokens", "input"), ("output_tokens", "output"), ("cached_tokens", "cached")] {
            assert!(told[theirs].is_null() || row[ours] == told[theirs], "{sdk:?}, {what}: {told} is not {row}");
        }
    }
}
