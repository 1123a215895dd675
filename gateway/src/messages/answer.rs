//! What a provider answers, whole or event by event.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::paid::{Delivered, Said, Stage};
use crate::usage::Reported;

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A block, whole, or what is added to one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Block<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    partial_json: Option<&'a RawValue>,
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    content_block: Option<Block<'a>>,
    #[serde(borrow, default)]
    delta: Option<Block<'a>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads a whole answer.
pub(super) fn whole(text: &str) -> Option<Said<'_>> {
    let message: Message<'_> = serde_json::from_str(text).ok()?;
    if message.content.is_none() && message.error.is_none() { None } else { Some(said(message)) }
}

fn said<'a>(message: Message<'a>) -> Said<'a> {
    let mut delivered = Delivered::default();
    message.content.iter().flatten().for_each(|block| block.add_to(&mut delivered));
    Said {
        id: message.id,
        model: message.model,
        delivered,
        usage: message.usage.and_then(|usage| Reported::read_apart(usage.get())),
        error: message.error,
        ..Said::default()
    }
}

/// Reads the data of one event.
pub(super) fn event(text: &str) -> Option<Said<'_>> {
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    if let Some(error) = event.error {
        return Some(Said { error: Some(error), ..Said::default() });
    }
    let mut said = Said::default();
    match event.r#type.as_deref()? {
        "message_start" => said = event.message.map(self::said)?,
        "content_block_start" => {
            let mut block = event.content_block?;
            // What a call is given comes piece by piece; the block begins with an empty one.
            block.input = None;
            block.add_to(&mut said.delivered);
        }
        "content_block_delta" => event.delta?.add_to(&mut said.delivered),
        "message_delta" => {
            said.usage = event.usage.and_then(|usage| Reported::read_apart(usage.get()));
            said.tells_cost = said.usage.is_some();
            if event.delta.is_some_and(|delta| delta.stop_reason.is_some()) {
                said.stage = Stage::Finished;
            }
        }
        "message_stop" => said.stage = Stage::Over,
        // `ping`, the end of a block, and whatever is new.
        _ => {}
    }
    Some(said)
}

impl Block<'_> {
    fn add_to(&self, delivered: &mut Delivered) {
        let texts = [self.text, self.thinking, self.data, self.name, self.input, self.partial_json];
        texts.into_iter().flatten().for_each(|text| delivered.add_text(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_is_read() {
        let text = r#"{"id":"msg_1","type":"message","model":"m-1","content":[{"type":"thinking","thinking":"hm"},
            {"type":"text","text":"four"},{"type":"tool_use","name":"f","input":{"a":1}}],
            "usage":{"input_tokens":5,"cache_read_input_tokens":3,"output_tokens":7}}"#;
        let said = whole(text).unwrap();
        assert_eq!(said.delivered.text(), 2 + 4 + 1 + 7);
        assert_eq!(said.usage.unwrap().usage().input_tokens, 8);
        assert!(whole(r#"{"type":"error","error":{"type":"x","message":"no"}}"#).unwrap().error.is_some());
        assert!(whole("{}").is_none() && whole(r#"{"choices":[]}"#).is_none());
    }

    #[test]
    fn each_event_says_its_part() {
        let start = event(
            r#"{"type":"message_start","message":{"id":"m","model":"x","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#,
        );
        let start = start.unwrap();
        assert_eq!((start.id.as_deref(), start.tells_cost, start.usage.is_some()), (Some("m"), false, true));
        for (text, bytes) in [
            (r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#, 0),
            (
                r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"ff","input":{}}}"#,
                2,
            ),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"abc"}}"#, 3),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"abcd"}}"#, 4),
            (
                r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a"}}"#,
                3,
            ),
            (r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"xyz"}}"#, 0),
            (r#"{"type":"ping"}"#, 0),
            (r#"{"type":"something_new","x":1}"#, 0),
        ] {
            assert_eq!(event(text).unwrap().delivered.text(), bytes, "{text}");
        }
        let delta =
            event(r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}}"#)
                .unwrap();
        assert_eq!((delta.stage, delta.tells_cost), (Stage::Finished, true));
        assert_eq!(event(r#"{"type":"message_stop"}"#).unwrap().stage, Stage::Over);
        assert!(event(r#"{"type":"error","error":{"message":"no"}}"#).unwrap().error.is_some());
        assert!(event("{}").is_none());
    }
}
