//! The forms beside chat: responses, messages, embeddings, images.

use anyhow::Result;
use serde_json::{Value, json};

use crate::kit::{Provider, Reply};

async fn post(provider: &Provider, path: &str, body: &Value) -> Result<Reply> {
    provider.call("POST", path, "authorization: Bearer x\r\nx-request-id: r\r\n", &body.to_string()).await
}

async fn json_of(provider: &Provider, path: &str, body: Value) -> Result<Value> {
    let reply = post(provider, path, &body).await?;
    anyhow::ensure!(reply.status == 200, "{path}: {}", reply.body);
    Ok(serde_json::from_str(&reply.body)?)
}

const WISH: &str = "simulate: prompt_tokens=100 completion_tokens=30 cached_tokens=40 chunks=3";

#[tokio::test]
async fn a_response_has_its_own_words_for_the_usage() -> Result<()> {
    let provider = Provider::start().await?;
    let body = json!({ "model": "openai/gpt-4o", "input": WISH, "max_output_tokens": 20 });
    let whole = json_of(&provider, "/v1/responses", body.clone()).await?;
    assert_eq!((&whole["object"], &whole["status"]), (&json!("response"), &json!("incomplete")));
    let usage = &whole["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(100), &json!(20)));
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 40);

    let mut streamed = body;
    streamed["stream"] = true.into();
    let reply = post(&provider, "/responses", &streamed).await?;
    let events = reply.chunks();
    let names: Vec<_> = reply.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert!(events.iter().zip(&names).all(|(event, name)| event["type"] == **name), "each event's type is its name");
    assert!(events.iter().enumerate().all(|(index, event)| event["sequence_number"] == index));
    assert_eq!((names.first(), names.last()), (Some(&"response.created"), Some(&"response.incomplete")));
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(text.len(), 80);
    assert_eq!(events.last().map(|event| &event["response"]["usage"]), Some(usage));
    Ok(())
}

#[tokio::test]
async fn a_message_counts_the_cache_beside_the_input() -> Result<()> {
    let provider = Provider::start().await?;
    let told = json!([{ "role": "user", "content": WISH }]);
    let body = json!({ "model": "anthropic/claude-haiku-4.5", "messages": told, "max_tokens": 50 });
    let whole = json_of(&provider, "/v1/messages", body.clone()).await?;
    assert_eq!((&whole["type"], &whole["stop_reason"]), (&json!("message"), &json!("end_turn")));
    assert_eq!((&whole["usage"]["input_tokens"], &whole["usage"]["cache_read_input_tokens"]), (&json!(60), &json!(40)));

    let mut streamed = body;
    streamed["stream"] = true.into();
    let events = post(&provider, "/messages", &streamed).await?.chunks();
    let types: Vec<_> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    let delta = "content_block_delta";
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        delta,
        delta,
        delta,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(types, expected);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 60);
    assert_eq!(events[7]["usage"], json!({ "output_tokens": 30 }));
    let refused = post(&provider, "/v1/messages", &json!({ "model": "nobody/nothing", "messages": told })).await?;
    let error: Value = serde_json::from_str(&refused.body)?;
    assert_eq!((refused.status, &error["type"]), (404, &json!("error")));
    Ok(())
}

#[tokio::test]
async fn vectors_and_images_are_made_and_billed() -> Result<()> {
    let provider = Provider::start().await?;
    let body = |format: &str| json!({ "model": "openai/text-embedding-3-small", "input": ["a", "bc"], "dimensions": 4, "encoding_format": format });
    let floats = json_of(&provider, "/v1/embeddings", body("float")).await?;
    assert_eq!(floats["data"][1]["embedding"].as_array().map(Vec::len), Some(4));
    let text = json_of(&provider, "/v1/embeddings", body("base64")).await?;
    assert_eq!(text["data"][1]["embedding"].as_str().map(str::len), Some(24), "16 bytes");
    let image = json!({ "model": "bfl/flux-2-pro", "prompt": "a circle", "n": 2 });
    let made = json_of(&provider, "/v1/images/generations", image).await?;
    assert_eq!(made["data"].as_array().map(Vec::len), Some(2));
    let line = provider.line("r", "completed").await?;
    assert_eq!((&line["images"], &line["prompt_tokens"]), (&json!(2), &json!(4)), "{line}");
    let elsewhere =
        post(&provider, "/v1/chat/completions", &json!({ "model": "bfl/flux-2-pro", "messages": [] })).await?;
    assert_eq!(elsewhere.status, 400, "an image model does not chat");
    Ok(())
}
