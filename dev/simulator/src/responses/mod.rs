mod events;
mod object;

use serde_json::Value;

use crate::answer::Answer;
use crate::asked::{Asked, IMAGE_BYTES, tokens};
use crate::events::Script;
use crate::server::Form;

/// OpenAI's responses.
#[derive(Debug)]
pub struct Responses;

impl Form for Responses {
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        let mut asked = Asked {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            n: 1,
            limit: body["max_output_tokens"].as_u64(),
            stream: body["stream"].as_bool().unwrap_or(false),
            tool: body["tools"][0]["name"].as_str().map(str::to_owned),
            ..Asked::default()
        };
        let mut bytes = body["instructions"].as_str().map_or(0, str::len);
        match &body["input"] {
            Value::String(text) => {
                bytes += text.len();
                asked.told.clone_from(text);
            }
            Value::Array(items) => {
                for item in items {
                    let said = bytes_of(&item["content"]).max(bytes_of(&item["output"]));
                    bytes += said;
                    if let Some(text) = last_text(&item["content"]).filter(|_| item["role"] == "user") {
                        text.clone_into(&mut asked.told);
                    }
                }
            }
            _ => {}
        }
        asked.prompt_tokens = tokens(bytes);
        Ok(asked)
    }

    fn whole(&self, answer: &Answer) -> String {
        let usage = (!answer.directive.no_usage).then_some(&answer.usage);
        object::response(answer, object::status(answer), object::output(answer), usage).to_string()
    }

    fn script(&self, answer: &Answer) -> Box<dyn Script> {
        Box::new(events::ResponseEvents::new(answer))
    }
}

/// Bytes of everything that would be tokens.
fn bytes_of(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| {
                let image = part["image_url"].as_str().map_or(0, |url| url.len().min(IMAGE_BYTES));
                part["text"].as_str().map_or(0, str::len) + image
            })
            .sum(),
        _ => 0,
    }
}

fn last_text(content: &Value) -> Option<&str> {
    match content {
        Value::String(text) => Some(text),
        Value::Array(parts) => parts.iter().rev().find_map(|part| part["text"].as_str()),
        _ => None,
    }
}
