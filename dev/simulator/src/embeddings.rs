use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::asked::{Asked, tokens};
use crate::catalog::Kind;
use crate::events::{Event, Script};
use crate::server::Form;
use crate::usage::dollars;

/// Numbers of a vector where nothing is said.
const DIMENSIONS: u64 = 256;

/// Embeddings.
#[derive(Debug)]
pub struct Embeddings;

impl Form for Embeddings {
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        let input = &body["input"];
        let (texts, prompt_tokens) = match input {
            Value::Array(items) if items.first().is_some_and(Value::is_number) => {
                (vec![input.to_string()], items.len() as u64)
            }
            Value::Array(items) => {
                let counted = |item: &Value| match item {
                    Value::Array(ids) => ids.len() as u64,
                    other => tokens(text(other).len()),
                };
                (items.iter().map(text).collect(), items.iter().map(counted).sum())
            }
            other => (vec![text(other)], tokens(text(other).len())),
        };
        Ok(Asked {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            told: texts.last().cloned().unwrap_or_default(),
            prompt_tokens,
            n: 1,
            dimensions: body["dimensions"].as_u64(),
            base64: body["encoding_format"] == "base64",
            texts,
            ..Asked::default()
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        let asked = &answer.asked;
        let dimensions = asked.dimensions.unwrap_or(DIMENSIONS);
        let data: Vec<Value> = asked
            .texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let numbers = vector(text, dimensions);
                let embedding =
                    if asked.base64 && !answer.directive.floats { base64(&numbers) } else { json!(numbers) };
                json!({ "object": "embedding", "index": index, "embedding": embedding })
            })
            .collect();
        let cost: Value = serde_json::from_str(&dollars(answer.cost_picodollars.into())).unwrap_or_default();
        let prompt_tokens = answer.usage.prompt_tokens;
        let usage = json!({ "prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens, "cost": cost });
        let mut body = json!({ "object": "list", "data": data, "model": answer.model });
        if !answer.directive.no_usage {
            body["usage"] = usage;
        }
        body.to_string()
    }

    fn script(&self, _answer: &Answer) -> Box<dyn Script> {
        Box::new(Unstreamed)
    }

    fn kind(&self) -> Kind {
        Kind::Embedding
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Always the same for the same text; each number is a part of 128, which is exact in every format.
fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let number = |index: u64| {
        let mut hasher = DefaultHasher::new();
        (text, index).hash(&mut hasher);
        let part = i16::try_from(hasher.finish() % 257).unwrap_or_default() - 128;
        f32::from(part) / 128.0
    };
    (0..dimensions).map(number).collect()
}

/// Little-endian numbers of four bytes, in base64.
fn base64(numbers: &[f32]) -> Value {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 63).unwrap_or_default();
            text.push(if place <= three.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text.into()
}

/// What nobody can ask for chunk by chunk.
#[derive(Debug)]
pub struct Unstreamed;

impl Script for Unstreamed {
    fn opening(&mut self, _: &Answer) -> Vec<Event> {
        Vec::new()
    }

    fn content(&mut self, _: &Answer, _: u64) -> Vec<Event> {
        Vec::new()
    }

    fn closing(&mut self, _: &Answer) -> Vec<Event> {
        Vec::new()
    }

    fn error(&mut self, _: &Answer) -> Event {
        Event::bare("{}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_base64() {
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -1.0]), "AACAPwAAgL8=");
        assert_eq!(base64(&[1.0, -1.0, 0.5]), "AACAPwAAgL8AAAA/");
    }

    #[test]
    fn the_same_text_has_the_same_vector() {
        assert_eq!(vector("a", 8), vector("a", 8));
        assert_ne!(vector("a", 8), vector("b", 8));
        assert!(vector("a", 64).iter().all(|number| (-1.0..=1.0).contains(number)));
    }
}
