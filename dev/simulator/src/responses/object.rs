//! The response as an object, and what is in it.

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::usage::{Usage, dollars};

/// How it ended.
pub(super) fn status(answer: &Answer) -> &'static str {
    if answer.finish_reason == "length" { "incomplete" } else { "completed" }
}

/// A response, with or without its usage.
pub(super) fn response(answer: &Answer, status: &str, output: Vec<Value>, usage: Option<&Usage>) -> Value {
    json!({
        "id": id(answer), "object": "response", "created_at": answer.created, "status": status, "background": false,
        "error": null,
        "incomplete_details": (status == "incomplete").then(|| json!({ "reason": "max_output_tokens" })),
        "instructions": null, "max_output_tokens": answer.asked.limit, "model": answer.model, "output": output,
        "parallel_tool_calls": true, "previous_response_id": null, "reasoning": { "effort": null, "summary": null },
        "store": true, "temperature": 1.0, "text": { "format": { "type": "text" } }, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "metadata": {},
        "usage": usage.map(|usage| self::usage(answer, usage)),
    })
}

fn id(answer: &Answer) -> String {
    answer.id.replace("gen_", "resp_")
}

fn usage(answer: &Answer, usage: &Usage) -> Value {
    let cost: Value = serde_json::from_str(&dollars(answer.cost_picodollars.into())).unwrap_or_default();
    json!({
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": { "cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning_tokens },
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "cost": cost,
    })
}

/// Everything that is put out.
pub(super) fn output(answer: &Answer) -> Vec<Value> {
    let mut output = Vec::new();
    if answer.usage.reasoning_tokens > 0 {
        output.push(reasoning(answer));
    }
    output.push(match &answer.tool {
        Some(name) => call(answer, name, &arguments(), "completed"),
        None => message(answer, status(answer), vec![text_part(answer.text())]),
    });
    output
}

/// The item for what was thought.
pub(super) fn reasoning(answer: &Answer) -> Value {
    json!({ "id": format!("rs_{}", answer.id), "type": "reasoning",
        "summary": [{ "type": "summary_text", "text": "Let me think." }] })
}

/// The item of a call.
pub(super) fn call(answer: &Answer, name: &str, arguments: &str, status: &str) -> Value {
    json!({ "id": call_id(answer), "type": "function_call", "status": status, "call_id": format!("call_{}", answer.id),
        "name": name, "arguments": arguments })
}

/// The id of a call's item.
pub(super) fn call_id(answer: &Answer) -> String {
    format!("fc_{}", answer.id)
}

/// The item of a message.
pub(super) fn message(answer: &Answer, status: &str, content: Vec<Value>) -> Value {
    json!({ "id": message_id(answer), "type": "message", "status": status, "role": "assistant", "content": content })
}

/// The id of a message's item.
pub(super) fn message_id(answer: &Answer) -> String {
    format!("msg_{}", answer.id)
}

/// A part of a message.
pub(super) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

/// What a tool is given.
pub(super) fn arguments() -> String {
    crate::answer::ARGUMENTS.replace('\\', "")
}
