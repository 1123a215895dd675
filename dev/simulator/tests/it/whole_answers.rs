//! Answers in one piece.

use anyhow::Result;
use serde_json::{Value, json};

use crate::kit::Provider;

#[tokio::test]
async fn an_answer_says_what_the_directive_asks_for() -> Result<()> {
    let provider = Provider::start().await?;
    let text = "Hello. simulate: prompt_tokens=2000 completion_tokens=1000 cached_tokens=500 reasoning_tokens=100";
    let reply = provider.chat("r", text, json!({ "model": "anthropic/claude-sonnet-4.5" })).await?;
    let body: Value = serde_json::from_str(&reply.body)?;
    assert!(reply.complete);
    assert!(body["id"].as_str().is_some_and(|id| id.starts_with("gen_") && body["generationId"] == id));
    let usage = &body["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(2000), &json!(1000)));
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 500);
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 100);
    // 1,500 × $3 + 500 × $0.30 + 1,000 × $15 a million.
    assert_eq!(usage["cost"], json!(0.01965));
    let choice = &body["choices"][0];
    assert_eq!(choice["message"]["provider_metadata"]["gateway"]["cost"], "0.01965");
    assert_eq!(choice["finish_reason"], "stop");
    Ok(())
}

#[tokio::test]
async fn the_output_limit_is_obeyed_unless_told_otherwise() -> Result<()> {
    let provider = Provider::start().await?;
    let ask = async |wish: &str| -> Result<(Value, Value)> {
        let body = json!({ "max_completion_tokens": 10, "n": 2 });
        let reply = provider.chat("r", &format!("simulate: completion_tokens=100 {wish}"), body).await?;
        let body: Value = serde_json::from_str(&reply.body)?;
        assert_eq!(body["choices"].as_array().map(Vec::len), Some(2));
        Ok((body["usage"]["completion_tokens"].clone(), body["choices"][1]["finish_reason"].clone()))
    };
    assert_eq!(ask("").await?, (json!(20), json!("length")));
    assert_eq!(ask("ignore_max=1").await?, (json!(100), json!("stop")));
    Ok(())
}

#[tokio::test]
async fn a_tool_is_called() -> Result<()> {
    let provider = Provider::start().await?;
    let tools = json!({ "tools": [{ "type": "function", "function": { "name": "weather", "parameters": {} } }] });
    let reply = provider.chat("r", "simulate: tool_call=1", tools).await?;
    let body: Value = serde_json::from_str(&reply.body)?;
    let call = &body["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap_or_default())?;
    assert_eq!(arguments["text"], "simulated");
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    Ok(())
}

#[tokio::test]
async fn answers_can_be_damaged() -> Result<()> {
    let provider = Provider::start().await?;
    let cut = provider.chat("cut", "simulate: cut_after=1", json!({})).await?;
    assert!(!cut.complete && !cut.body.is_empty(), "half of it arrives");
    assert_eq!(provider.line("cut", "cut").await?["calls"], 1);
    let malformed = provider.chat("r", "simulate: malformed=1", json!({})).await?;
    assert!(malformed.complete && serde_json::from_str::<Value>(&malformed.body).is_err());
    let silent = provider.chat("r", "simulate: no_usage=1", json!({})).await?;
    assert!(!silent.body.contains("usage") && !silent.body.contains("cost"));
    Ok(())
}

#[tokio::test]
async fn the_models_are_listed() -> Result<()> {
    let provider = Provider::start().await?;
    let list = provider.get("/v1/models").await?;
    let models = list["data"].as_array().cloned().unwrap_or_default();
    let sonnet = models.iter().find(|model| model["id"] == "anthropic/claude-sonnet-4.5");
    assert_eq!(sonnet.map(|model| &model["pricing"]["input"]), Some(&json!("0.000003")));
    Ok(())
}
