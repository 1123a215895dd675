//! The events of a streamed message.

use serde_json::{Value, json};

use super::object;
use crate::answer::{Answer, arguments_piece};
use crate::events::{Event, Script};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct MessageEvents {
    /// The block that is put out.
    index: u64,
}

fn event(name: &'static str, mut data: Value) -> Event {
    data["type"] = name.into();
    Event::named(name, data.to_string())
}

impl Script for MessageEvents {
    fn opening(&mut self, answer: &Answer) -> Vec<Event> {
        let mut message = object::message(answer, vec![]);
        if !answer.directive.no_usage {
            message["usage"] = object::input_usage(answer);
        }
        let mut events = vec![event("message_start", json!({ "message": message }))];
        if answer.usage.reasoning_tokens > 0 {
            let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
            let thought = json!({ "type": "thinking_delta", "thinking": "Let me think." });
            let signed = json!({ "type": "signature_delta", "signature": "c2lnbmVk" });
            events.push(event("content_block_start", json!({ "index": 0, "content_block": block })));
            events.push(event("content_block_delta", json!({ "index": 0, "delta": thought })));
            events.push(event("content_block_delta", json!({ "index": 0, "delta": signed })));
            events.push(event("content_block_stop", json!({ "index": 0 })));
            self.index = 1;
        }
        let block = match &answer.tool {
            Some(name) => json!({ "type": "tool_use", "id": object::tool_id(answer), "name": name, "input": {} }),
            None => json!({ "type": "text", "text": "" }),
        };
        events.push(event("content_block_start", json!({ "index": self.index, "content_block": block })));
        events.push(event("ping", json!({})));
        events
    }

    fn content(&mut self, answer: &Answer, chunk: u64) -> Vec<Event> {
        let delta = match &answer.tool {
            Some(_) => {
                let json = arguments_piece(chunk, answer.chunks).replace('\\', "");
                json!({ "type": "input_json_delta", "partial_json": json })
            }
            None => json!({ "type": "text_delta", "text": Answer::piece(answer.text(), chunk, answer.chunks) }),
        };
        vec![event("content_block_delta", json!({ "index": self.index, "delta": delta }))]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let mut delta = json!({ "delta": { "stop_reason": object::stop_reason(answer), "stop_sequence": null } });
        if !answer.directive.no_usage {
            // Counted from the beginning of the message.
            delta["usage"] = json!({ "output_tokens": answer.usage.completion_tokens });
        }
        vec![
            event("content_block_stop", json!({ "index": self.index })),
            event("message_delta", delta),
            event("message_stop", json!({})),
        ]
    }

    fn error(&mut self, _answer: &Answer) -> Event {
        let error = json!({ "type": "overloaded_error", "message": "simulated error in the stream" });
        event("error", json!({ "error": error }))
    }
}
