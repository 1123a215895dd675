//! Requests, and what the simulator is told in them.

use serde_json::{Value, json};

/// $3 and $15 a million tokens, in credits with the margin: 0.48 and 2.4 a thousand.
pub(crate) const SONNET: &str = "anthropic/claude-sonnet-4.5";
/// $1 and $5 a million tokens, in credits with the margin: 0.16 and 0.8 a thousand.
pub(crate) const HAIKU: &str = "anthropic/claude-haiku-4.5";

/// A request that tells the simulator what to do.
pub(crate) fn chat(model: &str, max_tokens: u64, wishes: &str) -> Value {
    let content = format!("simulate: {wishes}");
    json!({ "model": model, "max_tokens": max_tokens, "messages": [{ "role": "user", "content": content }] })
}

/// The same chunk by chunk, with the usage at the end.
pub(crate) fn streamed(mut body: Value) -> Value {
    body["stream"] = true.into();
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// 2,000 tokens in and 1,000 out: $0.021, which is 3.36 credits. More wishes may follow.
pub(crate) fn worked_example(wishes: &str) -> Value {
    let mut body = chat(SONNET, 1_000, &format!("prompt_tokens=2000 completion_tokens=1000 {wishes}"));
    // No prompt has more tokens than bytes.
    let prompt = json!({ "role": "user", "content": "x".repeat(2_000) });
    body["messages"].as_array_mut().expect("messages are an array").insert(0, prompt);
    body
}
