//! Errors in the provider's shape.

use anyhow::Result;
use serde_json::{Value, json};

use crate::kit::{Provider, Reply};

fn error(reply: &Reply) -> Result<Value> {
    Ok(serde_json::from_str::<Value>(&reply.body)?["error"].take())
}

#[tokio::test]
async fn each_refusal_has_the_providers_shape() -> Result<()> {
    let provider = Provider::start().await?;
    let anonymous = provider.call("POST", "/v1/chat/completions", "", "{}").await?;
    assert_eq!((anonymous.status, &error(&anonymous)?["type"]), (401, &json!("authentication_error")));
    let garbage = provider.call("POST", "/chat/completions", "authorization: Bearer x\r\n", "{").await?;
    assert_eq!((garbage.status, &error(&garbage)?["type"]), (400, &json!("invalid_request_error")));
    let unknown = provider.chat("r", "hello", json!({ "model": "nobody/nothing" })).await?;
    assert_eq!((unknown.status, &error(&unknown)?["type"]), (404, &json!("model_not_found")));
    assert_eq!(error(&unknown)?["param"]["modelId"], "nobody/nothing");
    let misspelt = provider.chat("r", "simulate: chunk=1", json!({})).await?;
    assert_eq!(misspelt.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_status_is_answered_when_told() -> Result<()> {
    let provider = Provider::start().await?;
    let limited = provider.chat("r", "simulate: status=429 retry_after=3", json!({ "stream": true })).await?;
    assert_eq!((limited.status, &error(&limited)?["type"]), (429, &json!("rate_limit_exceeded")));
    assert!(limited.head.contains("retry-after: 3"));
    let line = provider.line("r", "error").await?;
    assert_eq!((&line["prompt_tokens"], &line["cost_usd"]), (&json!(0), &json!("0")));
    Ok(())
}
