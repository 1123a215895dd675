//! The message as an object, and what is in it.

use serde_json::{Value, json};

use crate::answer::Answer;

/// A message that has not ended.
pub(super) fn message(answer: &Answer, content: Vec<Value>) -> Value {
    json!({ "id": answer.id, "type": "message", "role": "assistant", "model": answer.model, "content": content,
        "stop_reason": null, "stop_sequence": null })
}

/// Why it ended.
pub(super) fn stop_reason(answer: &Answer) -> &'static str {
    match answer.finish_reason {
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        _ => "end_turn",
    }
}

/// All of it. Tokens from and for the cache are no part of the input.
pub(super) fn usage(answer: &Answer) -> Value {
    let mut usage = input_usage(answer);
    usage["output_tokens"] = answer.usage.completion_tokens.into();
    usage
}

/// What is known at the beginning.
pub(super) fn input_usage(answer: &Answer) -> Value {
    let usage = &answer.usage;
    json!({
        "input_tokens": usage.prompt_tokens.saturating_sub(usage.cached_tokens + usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "cache_creation": { "ephemeral_5m_input_tokens": usage.cache_write_tokens, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": 1,
        "service_tier": "standard",
    })
}

/// Everything that is put out.
pub(super) fn content(answer: &Answer) -> Vec<Value> {
    let mut content = Vec::new();
    if answer.usage.reasoning_tokens > 0 {
        content.push(json!({ "type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk" }));
    }
    content.push(match &answer.tool {
        Some(name) => {
            let input: Value = serde_json::from_str(&crate::answer::ARGUMENTS.replace('\\', "")).unwrap_or_default();
            json!({ "type": "tool_use", "id": tool_id(answer), "name": name, "input": input })
        }
        None => json!({ "type": "text", "text": answer.text() }),
    });
    content
}

/// The id of a call.
pub(super) fn tool_id(answer: &Answer) -> String {
    answer.id.replace("gen_", "toolu_")
}
