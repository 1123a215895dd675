//! The events of a streamed response.

use serde_json::{Value, json};

use super::object;
use crate::answer::{Answer, arguments_piece};
use crate::events::{Event, Script};

/// See the module.
#[derive(Debug)]
pub(super) struct ResponseEvents {
    sequence_number: u64,
    /// Place of the item that is put out.
    output_index: u64,
}

impl ResponseEvents {
    /// The events of this answer.
    pub(super) fn new(answer: &Answer) -> Self {
        Self { sequence_number: 0, output_index: u64::from(answer.usage.reasoning_tokens > 0) }
    }

    fn event(&mut self, name: &'static str, mut data: Value) -> Event {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence_number.into();
        self.sequence_number += 1;
        Event::named(name, data.to_string())
    }
}

impl Script for ResponseEvents {
    fn opening(&mut self, answer: &Answer) -> Vec<Event> {
        let begun = json!({ "response": object::response(answer, "in_progress", vec![], None) });
        let mut events = vec![self.event("response.created", begun.clone()), self.event("response.in_progress", begun)];
        if answer.usage.reasoning_tokens > 0 {
            let mut item = object::reasoning(answer);
            let at = json!({ "item_id": item["id"], "output_index": 0, "summary_index": 0, "delta": "Let me think." });
            let whole = item["summary"].take();
            item["summary"] = json!([]);
            events.push(self.event("response.output_item.added", json!({ "output_index": 0, "item": item })));
            events.push(self.event("response.reasoning_summary_text.delta", at));
            item["summary"] = whole;
            events.push(self.event("response.output_item.done", json!({ "output_index": 0, "item": item })));
        }
        let index = self.output_index;
        match &answer.tool {
            Some(name) => {
                let item = object::call(answer, name, "", "in_progress");
                events.push(self.event("response.output_item.added", json!({ "output_index": index, "item": item })));
            }
            None => {
                let item = object::message(answer, "in_progress", vec![]);
                events.push(self.event("response.output_item.added", json!({ "output_index": index, "item": item })));
                let part = json!({ "item_id": object::message_id(answer), "output_index": index, "content_index": 0,
                    "part": object::text_part("") });
                events.push(self.event("response.content_part.added", part));
            }
        }
        events
    }

    fn content(&mut self, answer: &Answer, chunk: u64) -> Vec<Event> {
        let index = self.output_index;
        vec![match &answer.tool {
            Some(_) => {
                let delta = arguments_piece(chunk, answer.chunks).replace('\\', "");
                let data = json!({ "item_id": object::call_id(answer), "output_index": index, "delta": delta });
                self.event("response.function_call_arguments.delta", data)
            }
            None => {
                let delta = Answer::piece(answer.text(), chunk, answer.chunks);
                let data = json!({ "item_id": object::message_id(answer), "output_index": index, "content_index": 0,
                    "delta": delta, "logprobs": [] });
                self.event("response.output_text.delta", data)
            }
        }]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let index = self.output_index;
        let output = object::output(answer);
        let item = output.last().cloned().unwrap_or_default();
        let mut events = Vec::new();
        match &answer.tool {
            Some(name) => {
                let data = json!({ "item_id": item["id"], "output_index": index, "name": name,
                    "arguments": object::arguments() });
                events.push(self.event("response.function_call_arguments.done", data));
            }
            None => {
                let at = json!({ "item_id": item["id"], "output_index": index, "content_index": 0 });
                let mut text = at.clone();
                text["text"] = answer.text().into();
                text["logprobs"] = json!([]);
                events.push(self.event("response.output_text.done", text));
                let mut part = at;
                part["part"] = object::text_part(answer.text());
                events.push(self.event("response.content_part.done", part));
            }
        }
        events.push(self.event("response.output_item.done", json!({ "output_index": index, "item": item })));
        let status = object::status(answer);
        let usage = (!answer.directive.no_usage).then_some(&answer.usage);
        let whole = json!({ "response": object::response(answer, status, output, usage) });
        let name = if status == "incomplete" { "response.incomplete" } else { "response.completed" };
        events.push(self.event(name, whole));
        events
    }

    fn error(&mut self, answer: &Answer) -> Event {
        let mut response = object::response(answer, "failed", vec![], None);
        response["error"] = json!({ "code": "server_error", "message": "simulated error in the stream" });
        self.event("response.failed", json!({ "response": response }))
    }
}
