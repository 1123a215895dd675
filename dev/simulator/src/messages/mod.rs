mod events;
mod object;

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::{Asked, IMAGE_BYTES, tokens};
use crate::events::Script;
use crate::refusal::Refusal;
use crate::server::Form;

/// Anthropic's messages.
#[derive(Debug)]
pub struct Messages;

impl Form for Messages {
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        let mut bytes = bytes_of(&body["system"]);
        let mut told = String::new();
        for message in body["messages"].as_array().into_iter().flatten() {
            bytes += bytes_of(&message["content"]);
            if let Some(text) = last_text(&message["content"]).filter(|_| message["role"] == "user") {
                text.clone_into(&mut told);
            }
        }
        Ok(Asked {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            told,
            prompt_tokens: tokens(bytes),
            n: 1,
            limit: body["max_tokens"].as_u64(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tool: body["tools"][0]["name"].as_str().map(str::to_owned),
            ..Asked::default()
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        let mut message = object::message(answer, object::content(answer));
        message["stop_reason"] = object::stop_reason(answer).into();
        if answer.directive.no_usage {
            if let Some(message) = message.as_object_mut() {
                message.remove("usage");
            }
        } else {
            message["usage"] = object::usage(answer);
            message["provider_metadata"] = serde_json::from_str(&answer.provider_metadata()).unwrap_or_default();
        }
        message.to_string()
    }

    fn script(&self, _answer: &Answer) -> Box<dyn Script> {
        Box::new(events::MessageEvents::default())
    }

    fn error(&self, refusal: &Refusal) -> String {
        json!({ "type": "error", "error": { "type": refusal.kind, "message": refusal.message } }).to_string()
    }
}

/// Bytes of everything that would be tokens.
fn bytes_of(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(blocks) => blocks
            .iter()
            .map(|block| {
                let image = block["source"]["data"].as_str().or(block["source"]["url"].as_str());
                block["text"].as_str().map_or(0, str::len)
                    + image.map_or(0, |image| image.len().min(IMAGE_BYTES))
                    + bytes_of(&block["content"])
            })
            .sum(),
        _ => 0,
    }
}

fn last_text(content: &Value) -> Option<&str> {
    match content {
        Value::String(text) => Some(text),
        Value::Array(blocks) => blocks.iter().rev().find_map(|block| block["text"].as_str()),
        _ => None,
    }
}
