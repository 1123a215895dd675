//! What is sold, at what price; and what is no longer sold.

use serde_json::Value;

use super::system_kit::{HAIKU, SONNET, World, chat};

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_with_what_customers_pay() {
    let world = World::start();
    let account = world.account("team", "10");
    let get = async |path: &str| world.client().get(path, Some(&account.key)).await;

    let list = get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().expect("a list of models");
    assert_eq!(models.len(), 54);
    for model in models {
        // OpenAI's members.
        assert_eq!(model["object"], "model", "{model}");
        assert!(model["created"].is_i64() && model["owned_by"].is_string() && model["id"].is_string(), "{model}");
        // And ours.
        for member in ["name", "provider", "kind", "status"] {
            assert!(model[member].is_string(), "{member} in {model}");
        }
        assert!(model["capabilities"].is_array() && model.get("context_window").is_some(), "{model}");
        for price in ["input", "output", "cache_read", "cache_write", "per_image"] {
            let price = &model["pricing"][price];
            assert!(price.is_null() || price.as_str().is_some_and(is_decimal), "{price} in {model}");
        }
        assert!(model.get("margin_bps").is_none() && model["pricing"].get("cost").is_none(), "{model}");
    }
    assert_eq!(get("/models").await.json(), list, "SDKs whose base URL lacks /v1 get the same");

    let sonnet = get("/v1/models/anthropic/claude-sonnet-4.5").await;
    assert_eq!(sonnet.status, 200);
    let sonnet = sonnet.json();
    // $3 and $15 a million, and 60 %.
    assert_eq!((&sonnet["pricing"]["input"], &sonnet["pricing"]["output"]), (&"4.8".into(), &"24".into()));
    assert_eq!((&sonnet["id"], &sonnet["status"]), (&SONNET.into(), &"active".into()));
    for path in
        ["/v1/models/anthropic%2Fclaude-sonnet-4.5", "/v1/models/claude-sonnet-4.5", "/models/claude-sonnet-4.5"]
    {
        assert_eq!(get(path).await.json(), sonnet, "{path}");
    }
    assert!(models.contains(&sonnet));
    for path in ["/v1/models/nope", "/v1/models/anthropic%2Fnope", "/v1/models/..%2F..%2Fetc", "/v1/models/%ff"] {
        let answer = get(path).await;
        assert!(answer.status == 404 && answer.error()["type"] == "invalid_request_error", "{path}: {}", answer.text());
    }
    assert_eq!(get("/v1/models/nope").await.code(), "model_not_found");

    retired(&world, &account.key, models).await;
    what_does_not_chat(&world, &account.key, models).await;
    world.close().await;
}

/// Each is listed as retired; a request for it is answered by the successor that the list names, or refused.
async fn retired(world: &World, key: &str, models: &[Value]) {
    let retired: Vec<_> = models.iter().filter(|model| model["status"] == "retired").collect();
    assert!(retired.iter().any(|model| model["successor"].is_string()), "some have a successor");
    assert!(retired.iter().any(|model| model["successor"].is_null()), "some have none");
    for model in retired {
        let id = model["id"].as_str().unwrap_or_default();
        let answer = world.ask(key, &chat(id, 10, "prompt_tokens=5 completion_tokens=5")).await;
        match model["successor"].as_str() {
            Some(successor) => {
                assert_eq!(answer.status, 200, "{id}: {}", answer.text());
                assert_eq!(answer.header("x-layers-model"), Some(successor), "{id}");
                let row = world.usage_log(&answer.request_id()).await;
                assert_eq!(row["model_id"], successor, "the one that answers is the one that is charged: {row}");
            }
            None => {
                assert_eq!((answer.status, answer.code().as_str()), (404, "model_not_found"), "{id}");
                assert!(answer.text().contains("retired"), "{}", answer.text());
            }
        }
    }
    // A short name is answered too, and says whose it is.
    let answer = world.ask(key, &chat("claude-haiku-4.5", 10, "")).await;
    assert_eq!((answer.status, answer.header("x-layers-model")), (200, Some(HAIKU)));
    assert_eq!(world.ask(key, &chat(HAIKU, 10, "")).await.header("x-layers-model"), None);
}

async fn what_does_not_chat(world: &World, key: &str, models: &[Value]) {
    let others: Vec<_> = models.iter().filter(|model| model["kind"] != "language").collect();
    assert!(!others.is_empty(), "images and embeddings are sold too");
    for model in others.iter().filter(|model| model["status"] == "active") {
        let answer = world.ask(key, &chat(model["id"].as_str().unwrap_or_default(), 10, "")).await;
        let error = answer.error();
        assert_eq!((answer.status, &error["param"]), (400, &"model".into()), "{model}: {error}");
    }
}

fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}
