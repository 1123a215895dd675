//! Every route that costs money, by hand: cut streams, clients that leave, other paths of the same, and what no SDK sends.

use serde_json::{Value, json};
use stack::local::StackOptions;

use super::system_kit::{Event, HAIKU, World, chat, request, streamed};

const EMBEDDING: &str = "openai/text-embedding-3-large";
const IMAGE: &str = "bfl/flux-pro-1.1";

/// A path of each of the streaming routes, and a request for it that tells the simulator what to do.
fn streaming(wishes: &str) -> [(&'static str, Value); 3] {
    let told = format!("simulate: {wishes}");
    [
        ("/v1/chat/completions", chat(HAIKU, 100, wishes)),
        ("/v1/responses", json!({ "model": HAIKU, "max_output_tokens": 100, "input": told })),
        (
            "/v1/messages",
            json!({ "model": HAIKU, "max_tokens": 100, "messages": [{ "role": "user", "content": told }] }),
        ),
    ]
    .map(|(path, mut body)| {
        body["stream"] = true.into();
        (path, body)
    })
}

/// Bytes of text that an event delivers, whichever route it is of.
fn text_of(event: &Event) -> usize {
    let json = event.json();
    let delta = &json["choices"][0]["delta"]["content"];
    let texts = [delta, &json["delta"]["text"], &json["delta"]];
    texts.iter().find_map(|text| text.as_str()).map_or(0, str::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_is_whole_in_every_dress_and_paid_for_when_it_breaks() {
    let world = World::start();
    let account = world.account("team", "100");
    for dress in ["", "comment=1", "crlf=1", "split=1", "comment=1 crlf=1 split=1"] {
        for (path, body) in streaming(&format!("prompt_tokens=20 completion_tokens=30 {dress}")) {
            let stream = world.client().open_post(path, &account.key, &body).await;
            assert_eq!(stream.status, 200, "{path}");
            let request_id = stream.request_id();
            let events = stream.events().await;
            let text: usize = events.iter().map(text_of).sum();
            assert_eq!(text, 120, "{path}, {dress}: {events:?}");
            assert_eq!(
                events.iter().any(|event| event.0.starts_with(':')),
                dress.contains("comment"),
                "{path}: {events:?}"
            );
            let row = world.usage_log(&request_id).await;
            // 20 in and 30 out of claude-haiku-4.5: 170 millionths of a dollar and 60 %.
            assert_eq!((&row["credits_used"], &row["usage_source"]), (&"0.0272".into(), &"provider".into()), "{row}");
        }
    }
    for (how, code) in [("cut_after=3", "upstream_error"), ("error_after=3", "upstream_error")] {
        for (path, body) in streaming(&format!("chunks=8 prompt_tokens=20 completion_tokens=80 {how}")) {
            let stream = world.client().open_post(path, &account.key, &body).await;
            let request_id = stream.request_id();
            let events = stream.events().await;
            let text: usize = events.iter().map(text_of).sum();
            assert_eq!(text, 120, "{path}, {how}: three of eight chunks of 40 bytes came: {events:?}");
            let last = events.last().expect("an event");
            assert_eq!(last.json()["error"]["code"], code, "{path}, {how}: {events:?}");
            let named = if path == "/v1/chat/completions" { None } else { Some("error") };
            assert_eq!(last.name(), named, "{path}: {last:?}");
            let row = world.usage_log(&request_id).await;
            assert_eq!((&row["status"], &row["usage_source"]), (&"error".into(), &"estimated".into()), "{row}");
            assert_eq!((&row["output_tokens"], &row["is_charged"]), (&30.into(), &true.into()), "{path}: {row}");
            // What Anthropic says at the beginning of the input is its word, not our estimate.
            assert!(path != "/v1/messages" || row["input_tokens"] == 20, "{path}: {row}");
        }
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_its_provider_on_every_route() {
    let world = World::start();
    let account = world.account("team", "100");
    for (path, body) in streaming("chunks=40 chunk_ms=100 completion_tokens=80") {
        let mut stream = world.client().open_post(path, &account.key, &body).await;
        let request_id = stream.request_id();
        while text_of(&stream.next().await.expect("the stream goes on")) == 0 {}
        drop(stream);
        let left = async || world.billed(&request_id).filter(|line| line["status"] == "cancelled");
        let billed = world.until("the provider's call is stopped", left).await;
        assert!(billed["delivered_chunks"].as_u64().is_some_and(|chunks| chunks < 40), "{path}: {billed}");
        let row = world.usage_log(&request_id).await;
        assert_eq!((&row["status"], &row["is_charged"]), (&"cancelled".into(), &true.into()), "{path}: {row}");
    }
    world.close().await;
}

/// By the other policy the provider is heard to its end, and charged is what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_drained_stream_is_charged_by_the_providers_word() {
    let env = vec![("LAYERS_ON_DISCONNECT".to_owned(), "drain".to_owned())];
    let world = World::start_with(StackOptions { env, ..StackOptions::default() });
    let account = world.account("team", "100");
    let mut left = Vec::new();
    for (path, body) in streaming("chunks=10 chunk_ms=50 prompt_tokens=20 completion_tokens=30") {
        let mut stream = world.client().open_post(path, &account.key, &body).await;
        let request_id = stream.request_id();
        while text_of(&stream.next().await.expect("the stream goes on")) == 0 {}
        drop(stream);
        let row = world.usage_log(&request_id).await;
        assert_eq!((&row["status"], &row["usage_source"]), (&"cancelled".into(), &"provider".into()), "{path}: {row}");
        assert_eq!(row["credits_used"], "0.0272", "{path}: {row}");
        assert_eq!(world.billed(&request_id).expect("it was asked")["status"], "completed", "{path}");
        left.push(request_id);
    }
    let left: Vec<_> = left.iter().map(String::as_str).collect();
    world.close_but(&left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_answer_under_all_their_paths_and_names() {
    let world = World::start();
    let account = world.account("team", "100");
    let client = world.client();
    let told = "simulate: prompt_tokens=20 completion_tokens=30";
    let message =
        json!({ "model": "claude-haiku-4-5", "max_tokens": 100, "messages": [{ "role": "user", "content": told }] });
    let image = json!({ "model": "flux-pro-1.1", "prompt": "a red circle", "aspect_ratio": "16:9" });
    for (path, body, credits) in [
        ("/responses", json!({ "model": "claude-haiku-4.5", "input": told, "max_output_tokens": 100 }), "0.0272"),
        ("/messages", message.clone(), "0.0272"),
        ("/embeddings", json!({ "model": "text-embedding-3-large", "input": [1, 2, 3, 4] }), "0.0000832"),
        ("/images/generations", image.clone(), "6.4"),
        ("/api/v1/chat", chat("claude-haiku-4-5-20251001", 100, "prompt_tokens=20 completion_tokens=30"), "0.0272"),
        ("/api/v1/chat/completions", chat(HAIKU, 100, "prompt_tokens=20 completion_tokens=30"), "0.0272"),
        ("/api/v1/image", image.clone(), "6.4"),
    ] {
        let answer = client.post(path, &account.key, &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("x-layers-cost-credits"), Some(credits), "{path}");
        assert_eq!(answer.digits_of_usage("cost_credits"), format!("\"{credits}\""), "{path}");
        let json = answer.json();
        assert_eq!(json["layers"]["credits_used"].is_number(), path.starts_with("/api"), "{path}: {json}");
        if path.contains("image") {
            assert_eq!((&json["size"], &json["usage"]["images"]), (&"1344x768".into(), &1.into()), "{path}: {json}");
        }
    }
    assert_eq!(client.get("/api/v1/models", Some(&account.key)).await.json()["object"], "list");
    // Anthropic's header for the key, and its form of an error.
    let headers = [("x-api-key", &*account.key), ("anthropic-version", "2023-06-01")];
    let answer = client.send(request(hyper::Method::POST, "/v1/messages", &headers, message.to_string())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    for path in ["/v1/messages", "/messages"] {
        let answer = client.send(request(hyper::Method::POST, path, &[], message.to_string())).await;
        let json = answer.json();
        assert_eq!((answer.status, &json["type"]), (401, &"error".into()), "{path}: {json}");
        assert_eq!(json["error"]["type"], "authentication_error", "{path}: {json}");
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_does_not_do_is_refused_and_costs_nothing() {
    let world = World::start();
    let account = world.account("team", "100");
    let client = world.client();
    let long = "x".repeat(10_001);
    for (path, body, status, code, param) in [
        ("/v1/responses", json!({ "input": "hi" }), 400, "missing_required_parameter", Some("model")),
        ("/v1/responses", json!({ "model": HAIKU }), 400, "missing_required_parameter", Some("input")),
        ("/v1/responses", json!({ "model": "gpt-17", "input": "hi" }), 404, "model_not_found", None),
        ("/v1/responses", json!({ "model": IMAGE, "input": "hi" }), 400, "invalid_value", Some("model")),
        (
            "/v1/responses",
            json!({ "model": HAIKU, "input": "hi", "stream": true, "stream_options": { "include_usage": true } }),
            400,
            "unknown_parameter",
            Some("stream_options.include_usage"),
        ),
        (
            "/v1/responses",
            json!({ "model": HAIKU, "input": "hi", "background": true }),
            400,
            "unsupported_parameter",
            Some("background"),
        ),
        ("/v1/embeddings", json!({ "model": EMBEDDING, "input": "" }), 400, "none", None),
        ("/v1/embeddings", json!({ "model": EMBEDDING, "input": ["a", ""] }), 400, "none", None),
        ("/v1/embeddings", json!({ "model": EMBEDDING, "input": [] }), 400, "none", None),
        ("/v1/embeddings", json!({ "model": IMAGE, "input": "a" }), 400, "invalid_value", Some("model")),
        ("/v1/images/generations", json!({ "model": IMAGE }), 400, "missing_required_parameter", Some("prompt")),
        (
            "/v1/images/generations",
            json!({ "model": IMAGE, "prompt": long }),
            400,
            "string_above_max_length",
            Some("prompt"),
        ),
        (
            "/v1/images/generations",
            json!({ "model": IMAGE, "prompt": "a", "n": 5 }),
            400,
            "integer_above_max_value",
            Some("n"),
        ),
        (
            "/v1/images/generations",
            json!({ "model": IMAGE, "prompt": "a", "size": "bogus" }),
            400,
            "invalid_value",
            Some("size"),
        ),
        ("/v1/images/generations", json!({ "model": HAIKU, "prompt": "a" }), 400, "invalid_value", Some("model")),
        ("/v1/images/edits", json!({ "model": IMAGE, "prompt": "a" }), 404, "unknown_url", None),
        ("/v1/completions", json!({ "model": HAIKU, "prompt": "a" }), 404, "unknown_url", None),
    ] {
        let answer = client.post(path, &account.key, &body).await;
        let error = answer.error();
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {error}");
        assert_eq!(error["param"].as_str(), param, "{path}: {error}");
    }
    assert!(world.bill().is_empty(), "no provider was asked");

    // An account that cannot pay is told by the route's own name of the limit.
    let poor = world.account("team", "0.1");
    let answer = client
        .post("/v1/responses", &poor.key, &json!({ "model": HAIKU, "input": "hi", "max_output_tokens": 60_000 }))
        .await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "insufficient_credits"));
    assert!(answer.text().contains("Lower max_output_tokens to "), "{}", answer.text());
    let answer = client.post("/v1/images/generations", &poor.key, &json!({ "model": IMAGE, "prompt": "a" })).await;
    assert_eq!((answer.status, answer.code().as_str()), (402, "insufficient_credits"));
    assert!(answer.text().contains("Add credits."), "{}", answer.text());
    world.close().await;
}

/// A provider that fails on a route that comes whole costs nothing; one that makes fewer images is paid for those.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_delivered_is_not_charged() {
    let world = World::start();
    let account = world.account("team", "100");
    let client = world.client();
    let image = |wishes: &str| json!({ "model": IMAGE, "prompt": format!("simulate: {wishes}"), "n": 3 });
    let embedding = |wishes: &str| json!({ "model": EMBEDDING, "input": format!("simulate: {wishes}") });
    let mut malformed = Vec::new();
    for (path, body) in [
        ("/v1/images/generations", image("status=500")),
        ("/v1/images/generations", image("malformed=1")),
        ("/v1/images/generations", image("cut_after=1")),
        ("/v1/embeddings", embedding("status=500")),
        ("/v1/embeddings", embedding("malformed=1")),
        ("/v1/embeddings", embedding("cut_after=1")),
    ] {
        let answer = client.post(path, &account.key, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_error"), "{path}: {body}");
        let row = world.usage_log(&answer.request_id()).await;
        assert_eq!((&row["credits_used"], &row["ending"]), (&"0".into(), &"released".into()), "{path}: {row}");
        // The provider believes that it has answered.
        if body.to_string().contains("malformed") {
            malformed.push(answer.request_id());
        }
    }
    let answer = client.post("/v1/images/generations", &account.key, &image("images=2")).await;
    assert_eq!(answer.header("x-layers-cost-credits"), Some("12.8"), "two of three came: {}", answer.text());
    // An image model that chats makes images by the piece, and writes by the token.
    let body = streamed(chat("google/gemini-2.5-flash-image", 100, "prompt_tokens=20 completion_tokens=30 images=2"));
    let stream = client.open_post("/v1/chat/completions", &account.key, &body).await;
    let request_id = stream.request_id();
    stream.events().await;
    let row = world.usage_log(&request_id).await;
    // 20 tokens at $0.30, 30 at $2.50 a million and two images at $0.039, and 60 %.
    assert_eq!((&row["images"], &row["credits_used"]), (&2.into(), &"12.49296".into()), "{row}");
    let malformed: Vec<_> = malformed.iter().map(String::as_str).collect();
    world.close_but(&malformed).await;
}
