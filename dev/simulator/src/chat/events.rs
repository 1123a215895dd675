//! The chunks of a chat completion.

use std::fmt::Write;

use crate::answer::{ARGUMENTS, Answer, PIXEL, arguments_piece};
use crate::events::{Event, Script};
use crate::refusal::Refusal;

/// See the module.
#[derive(Debug)]
pub(super) struct ChatEvents {
    /// Beginning of each chunk, up to its choices.
    head: String,
}

impl ChatEvents {
    /// The chunks of this answer.
    pub(super) fn new(answer: &Answer) -> Self {
        let Answer { id, created, model, .. } = answer;
        let head = format!(
            r#"{{"id":"{id}","object":"chat.completion.chunk","created":{created},"model":"{model}","system_fingerprint":null,"#
        );
        Self { head }
    }

    fn delta(&self, answer: &Answer, index: u64, delta: &str, usage: Option<u64>) -> Event {
        let mut chunk = self.open(index, delta, None);
        match usage {
            Some(delivered) => {
                chunk.push_str(r#","usage":"#);
                answer.usage_after(delivered).write_json(answer.cost_picodollars, &mut chunk);
                chunk.push('}');
            }
            None => chunk.push_str(if answer.asked.include_usage { r#","usage":null}"# } else { "}" }),
        }
        Event::bare(chunk)
    }

    /// A chunk without its last brace.
    fn open(&self, index: u64, delta: &str, finish_reason: Option<&str>) -> String {
        let mut chunk = String::with_capacity(self.head.len() + delta.len() + 128);
        chunk.push_str(&self.head);
        // Writing to a String cannot fail.
        let _ = write!(chunk, r#""choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":"#);
        let _ = match finish_reason {
            Some(reason) => write!(chunk, r#""{reason}"}}]"#),
            None => write!(chunk, "null}}]"),
        };
        chunk
    }

    fn finish(&self, answer: &Answer, index: u64) -> Event {
        let directive = &answer.directive;
        let last = index + 1 == answer.n;
        let delta = match last && !directive.no_usage {
            true => format!(r#"{{"provider_metadata":{}}}"#, answer.provider_metadata()),
            false => "{}".to_owned(),
        };
        let mut chunk = self.open(index, &delta, Some(answer.finish_reason));
        if last && directive.usage_at_finish && !directive.no_usage {
            chunk.push_str(r#","usage":"#);
            answer.usage.write_json(answer.cost_picodollars, &mut chunk);
        } else if answer.asked.include_usage {
            chunk.push_str(r#","usage":null"#);
        }
        if last {
            let _ = write!(chunk, r#","generationId":"{}""#, answer.id);
        }
        chunk.push('}');
        Event::bare(chunk)
    }

    fn usage(&self, answer: &Answer) -> Event {
        let mut chunk = self.head.clone();
        chunk.push_str(r#""choices":[],"usage":"#);
        answer.usage.write_json(answer.cost_picodollars, &mut chunk);
        let _ = write!(chunk, r#","generationId":"{}"}}"#, answer.id);
        Event::bare(chunk)
    }
}

impl Script for ChatEvents {
    fn opening(&mut self, answer: &Answer) -> Vec<Event> {
        let role = r#"{"role":"assistant","content":""}"#;
        let mut events: Vec<_> = (0..answer.n).map(|index| self.delta(answer, index, role, None)).collect();
        if answer.usage.reasoning_tokens > 0 {
            events.push(self.delta(answer, 0, r#"{"reasoning":"Let me think."}"#, None));
        }
        events
    }

    fn content(&mut self, answer: &Answer, chunk: u64) -> Vec<Event> {
        let Answer { n, chunks, id, .. } = answer;
        let (index, piece) = (chunk % n, chunk / n);
        // The first choices take what does not divide.
        let pieces = chunks / n + u64::from(index < chunks % n);
        let mut delta = match &answer.tool {
            None => format!(r#"{{"content":"{}"}}"#, Answer::piece(answer.text(), piece, pieces)),
            Some(name) if piece == 0 => format!(
                r#"{{"tool_calls":[{{"index":0,"id":"call_{index}_{id}","type":"function","function":{{"name":{},"arguments":"{}"}}}}]}}"#,
                serde_json::Value::from(name.as_str()),
                if pieces == 1 { ARGUMENTS } else { "" },
            ),
            Some(_) => format!(
                r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":"{}"}}}}]}}"#,
                arguments_piece(piece - 1, pieces - 1)
            ),
        };
        if chunk == 0 && answer.usage.images > 0 {
            delta.pop();
            let _ = write!(delta, r#","images":{}}}"#, images(answer.usage.images));
        }
        let usage = answer.directive.usage_all_along.then_some(chunk + 1);
        vec![self.delta(answer, index, &delta, usage)]
    }

    fn closing(&mut self, answer: &Answer) -> Vec<Event> {
        let directive = &answer.directive;
        let mut events: Vec<_> = (0..answer.n).map(|index| self.finish(answer, index)).collect();
        if answer.asked.include_usage && !directive.no_usage && !directive.usage_at_finish {
            events.push(self.usage(answer));
        }
        events.push(Event::bare("[DONE]"));
        events
    }

    fn error(&mut self, _answer: &Answer) -> Event {
        Event::bare(Refusal::with_status(500, "simulated error in the stream").body())
    }
}

/// So many pictures, as language models hand them out.
pub(super) fn images(count: u64) -> String {
    let image = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{PIXEL}"}}}}"#);
    format!("[{}]", vec![image; usize::try_from(count).unwrap_or_default()].join(","))
}
