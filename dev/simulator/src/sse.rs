//! An answer chunk by chunk, as server-sent events.
//!
//! The order of a stream: for each choice its role, reasoning if there is any, content, for each choice its finish,
//! usage if it was asked for, `[DONE]`. An event is made when the connection takes it, so that what counts as delivered
//! was handed to the connection.

use std::collections::VecDeque;
use std::fmt::Write;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::answer::{ARGUMENTS, Answer};
use crate::bill::{Call, Status};
use crate::refusal::Refusal;

/// Size of the pieces of a stream that is written without regard to its events.
const PIECE_BYTES: usize = 7;

/// The body of a streamed answer.
#[derive(Debug)]
pub struct Events {
    answer: Answer,
    call: Call,
    step: Step,
    /// Beginning of each chunk, up to its choices.
    head: String,
    sleep: Option<Pin<Box<Sleep>>>,
    pieces: VecDeque<Bytes>,
    /// How often to let the connection write out what it has before going on.
    flushes: u8,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Role(u64),
    Reasoning,
    Content(u64),
    Finish(u64),
    Usage,
    Done,
    Cut,
    End,
}

impl Events {
    /// Begins a stream; `call` is told what goes out and how it ends.
    pub fn new(answer: Answer, call: Call) -> Self {
        let Answer { id, created, model, .. } = &answer;
        let head = format!(
            r#"{{"id":"{id}","object":"chat.completion.chunk","created":{created},"model":"{model}","system_fingerprint":null,"#
        );
        Self { answer, call, step: Step::Role(0), head, sleep: None, pieces: VecDeque::new(), flushes: 0 }
    }

    /// The text of the next event or events, and moves on. `None` at the end.
    fn next(&mut self) -> Option<String> {
        let n = self.answer.n;
        match self.step {
            Step::Role(index) => {
                self.step = match index + 1 {
                    next if next < n => Step::Role(next),
                    _ if self.answer.usage.reasoning_tokens > 0 => Step::Reasoning,
                    _ => self.content(0),
                };
                Some(self.delta(index, r#"{"role":"assistant","content":""}"#, None))
            }
            Step::Reasoning => {
                self.step = self.content(0);
                Some(self.delta(0, r#"{"reasoning":"Let me think."}"#, None))
            }
            Step::Content(chunk) => {
                if self.answer.directive.error_after == Some(chunk) {
                    self.call.end(Status::Error);
                    self.step = Step::End;
                    return Some(self.event(&Refusal::with_status(500, "simulated error in the stream").body()));
                }
                self.step = self.content(chunk + 1);
                Some(self.chunk(chunk))
            }
            Step::Finish(index) => {
                self.step = if index + 1 < n { Step::Finish(index + 1) } else { self.after_finish() };
                Some(self.finish(index))
            }
            Step::Usage => {
                self.step = Step::Done;
                Some(self.usage())
            }
            Step::Done => {
                self.call.end(Status::Completed);
                self.step = Step::End;
                Some(self.event("[DONE]"))
            }
            Step::Cut | Step::End => None,
        }
    }

    /// The step for content chunk `chunk`, or what comes in its place.
    fn content(&self, chunk: u64) -> Step {
        let directive = &self.answer.directive;
        let after = |limit: Option<u64>| limit.is_some_and(|limit| chunk >= limit.min(self.answer.chunks));
        if after(directive.cut_after) {
            Step::Cut
        } else if chunk < self.answer.chunks || after(directive.error_after) {
            Step::Content(chunk)
        } else {
            Step::Finish(0)
        }
    }

    fn after_finish(&self) -> Step {
        let directive = &self.answer.directive;
        let apart = self.answer.include_usage && !directive.no_usage && !directive.usage_at_finish;
        if apart { Step::Usage } else { Step::Done }
    }

    fn chunk(&mut self, chunk: u64) -> String {
        self.call.deliver();
        let Answer { n, chunks, id, .. } = &self.answer;
        let (index, piece) = (chunk % n, chunk / n);
        // The first choices take what does not divide.
        let pieces = chunks / n + u64::from(index < chunks % n);
        let delta = match &self.answer.tool {
            None => format!(r#"{{"content":"{}"}}"#, Answer::piece(self.answer.text(), piece, pieces)),
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
        let mut text = String::new();
        if self.answer.directive.comment {
            text.push_str(": keep-alive");
            text.push_str(self.blank_line());
        }
        text.push_str(&self.delta(index, &delta, None));
        if self.answer.directive.malformed && chunk == 0 {
            text.push_str(&self.event(r#"{"choices":[{"delta""#));
        }
        text
    }

    fn finish(&self, index: u64) -> String {
        let directive = &self.answer.directive;
        let last = index + 1 == self.answer.n;
        let delta = match last && !directive.no_usage {
            true => format!(r#"{{"provider_metadata":{}}}"#, self.answer.provider_metadata()),
            false => "{}".to_owned(),
        };
        let usage = last && directive.usage_at_finish && !directive.no_usage;
        let mut chunk = self.open(index, &delta, Some(self.answer.finish_reason));
        if usage {
            chunk.push_str(r#","usage":"#);
            self.answer.usage.write_json(self.answer.cost_picodollars, &mut chunk);
        } else if self.answer.include_usage {
            chunk.push_str(r#","usage":null"#);
        }
        if last {
            let _ = write!(chunk, r#","generationId":"{}""#, self.answer.id);
        }
        chunk.push('}');
        self.event(&chunk)
    }

    fn usage(&self) -> String {
        let mut chunk = self.head.clone();
        chunk.push_str(r#""choices":[],"usage":"#);
        self.answer.usage.write_json(self.answer.cost_picodollars, &mut chunk);
        let _ = write!(chunk, r#","generationId":"{}"}}"#, self.answer.id);
        self.event(&chunk)
    }

    fn delta(&self, index: u64, delta: &str, finish_reason: Option<&str>) -> String {
        let mut chunk = self.open(index, delta, finish_reason);
        chunk.push_str(if self.answer.include_usage { r#","usage":null}"# } else { "}" });
        self.event(&chunk)
    }

    /// A chunk without its last brace.
    fn open(&self, index: u64, delta: &str, finish_reason: Option<&str>) -> String {
        let mut chunk = String::with_capacity(self.head.len() + delta.len() + 128);
        chunk.push_str(&self.head);
        let _ = write!(chunk, r#""choices":[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":"#);
        let _ = match finish_reason {
            Some(reason) => write!(chunk, r#""{reason}"}}]"#),
            None => write!(chunk, "null}}]"),
        };
        chunk
    }

    fn event(&self, data: &str) -> String {
        let mut event = String::with_capacity(data.len() + 10);
        event.push_str("data: ");
        event.push_str(data);
        event.push_str(self.blank_line());
        event
    }

    fn blank_line(&self) -> &'static str {
        if self.answer.directive.crlf { "\r\n\r\n" } else { "\n\n" }
    }

    /// The pause before a step.
    fn pause(&self) -> Option<Duration> {
        let wait = matches!(self.step, Step::Content(chunk) if chunk > 0) && self.answer.directive.chunk_ms > 0;
        wait.then(|| Duration::from_millis(self.answer.directive.chunk_ms))
    }
}

/// Piece `index` of the arguments of a tool call. An escape is never split: each piece is a valid part of a string.
fn arguments_piece(index: u64, count: u64) -> &'static str {
    let half = ARGUMENTS.find(':').map_or(0, |at| at + 1);
    match (index, count) {
        (0, 1) => ARGUMENTS,
        (0, _) => &ARGUMENTS[..half],
        (1, _) => &ARGUMENTS[half..],
        _ => "",
    }
}

impl Stream for Events {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.flushes > 0 {
            self.flushes -= 1;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(piece) = self.pieces.pop_front() {
            self.flushes = 1;
            return Poll::Ready(Some(Ok(piece)));
        }
        if let Step::Cut = self.step {
            self.call.end(Status::Cut);
            self.step = Step::End;
            return Poll::Ready(Some(Err(io::Error::other("cut, as told"))));
        }
        if self.sleep.is_none() {
            self.sleep = self.pause().map(|pause| Box::pin(sleep(pause)));
        }
        if let Some(sleep) = &mut self.sleep {
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
        let Some(text) = self.next() else { return Poll::Ready(None) };
        if let Step::Cut = self.step {
            // What was sent before should arrive.
            self.flushes = 2;
        }
        let bytes = Bytes::from(text);
        if !self.answer.directive.split {
            return Poll::Ready(Some(Ok(bytes)));
        }
        self.flushes = 1;
        let pieces = (0..bytes.len()).step_by(PIECE_BYTES).map(|at| bytes.slice(at..bytes.len().min(at + PIECE_BYTES)));
        self.pieces = pieces.collect();
        let first = self.pieces.pop_front().unwrap_or_default();
        Poll::Ready(Some(Ok(first)))
    }
}
