//! An answer chunk by chunk: the order of its events, and whatever is to go wrong with them. What each event says is a
//! [`Script`]'s.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

use crate::answer::Answer;
use crate::bill::{Call, Status};

/// Size of the pieces of a stream that is written without regard to its events.
const PIECE_BYTES: usize = 7;

/// What the events of a stream say, in one provider's form.
pub trait Script: fmt::Debug + Send {
    /// Before any content.
    fn opening(&mut self, answer: &Answer) -> Vec<Event>;
    /// Content chunk `chunk` of the answer's chunks.
    fn content(&mut self, answer: &Answer, chunk: u64) -> Vec<Event>;
    /// After all content.
    fn closing(&mut self, answer: &Answer) -> Vec<Event>;
    /// Instead of the rest.
    fn error(&mut self, answer: &Answer) -> Event;
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type, where the form has such a thing.
    pub name: Option<&'static str>,
    /// Its data.
    pub data: String,
}

impl Event {
    /// An event without a type.
    pub fn bare(data: impl Into<String>) -> Self {
        Self { name: None, data: data.into() }
    }

    /// An event with a type.
    pub fn named(name: &'static str, data: impl Into<String>) -> Self {
        Self { name: Some(name), data: data.into() }
    }
}

/// The body of a streamed answer.
#[derive(Debug)]
pub struct Events {
    answer: Answer,
    call: Call,
    script: Box<dyn Script>,
    step: Step,
    sleep: Option<Pin<Box<Sleep>>>,
    pieces: VecDeque<Bytes>,
    /// How often to let the connection write out what it has before going on.
    flushes: u8,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Opening,
    Content(u64),
    Closing,
    Cut,
    End,
}

impl Events {
    /// Begins a stream; `call` is told what goes out and how it ends.
    pub fn new(answer: Answer, call: Call, script: Box<dyn Script>) -> Self {
        Self { answer, call, script, step: Step::Opening, sleep: None, pieces: VecDeque::new(), flushes: 0 }
    }

    /// The next events, and moves on. `None` at the end.
    fn next(&mut self) -> Option<Vec<Event>> {
        match self.step {
            Step::Opening => {
                self.step = self.content(0);
                Some(self.script.opening(&self.answer))
            }
            Step::Content(chunk) => {
                if self.answer.directive.error_after == Some(chunk) {
                    self.call.end(Status::Error);
                    self.step = Step::End;
                    return Some(vec![self.script.error(&self.answer)]);
                }
                self.step = self.content(chunk + 1);
                self.call.deliver();
                let mut events = self.script.content(&self.answer, chunk);
                if self.answer.directive.malformed && chunk == 0 {
                    events.push(Event::bare(r#"{"choices":[{"delta""#));
                }
                Some(events)
            }
            Step::Closing => {
                self.call.end(Status::Completed);
                self.step = Step::End;
                Some(self.script.closing(&self.answer))
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
            Step::Closing
        }
    }

    fn written(&self, events: &[Event], content: bool) -> String {
        let end = if self.answer.directive.crlf { "\r\n" } else { "\n" };
        let mut text = String::new();
        if content && self.answer.directive.comment {
            for part in [": keep-alive", end, end] {
                text.push_str(part);
            }
        }
        for event in events {
            if let Some(name) = event.name {
                for part in ["event: ", name, end] {
                    text.push_str(part);
                }
            }
            for part in ["data: ", &event.data, end, end] {
                text.push_str(part);
            }
        }
        text
    }

    /// The pause before a step.
    fn pause(&self) -> Option<Duration> {
        let wait = matches!(self.step, Step::Content(chunk) if chunk > 0) && self.answer.directive.chunk_ms > 0;
        wait.then(|| Duration::from_millis(self.answer.directive.chunk_ms))
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
        let content = matches!(self.step, Step::Content(_));
        let Some(events) = self.next() else { return Poll::Ready(None) };
        let text = self.written(&events, content);
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
