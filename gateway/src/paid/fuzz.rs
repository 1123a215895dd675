//! What a fuzzer drives: the readers of bytes that come from outside. They take any bytes, and hold whatever comes of them to what
//! is promised of it; a broken promise is a panic. `make test` drives them for half a minute each over `gateway/fuzz/corpus`
//! without looking at coverage; `gateway/fuzz` drives the same functions with libFuzzer.

#[cfg(test)]
mod mutate;

use bytes::Bytes;
use schemas::event::{UsageSource, UsageStatus};
use schemas::money::Nanocredits;
use serde_json::value::RawValue;

use super::cost::Cost;
use super::course::Course;
use super::order::{Told, Went};
use super::route::Route;
use super::said::Delivered;
use super::sample::{book, order};
use super::{Limit, bound, rewrite};
use crate::chat::CHAT;
use crate::embeddings::EMBEDDINGS;
use crate::images::IMAGES;
use crate::messages::MESSAGES;
use crate::responses::RESPONSES;
use crate::splice::Object;
use crate::sse::{self, Data, Framer};
use crate::upstream::Failure;

/// All that we change in a body, beside a route's own output limit.
const EDITED: [&str; 4] = ["model", "stream_options", "size", "aspect_ratio"];
/// The model that the body is rewritten for.
const MODEL: &str = "some/model";
/// Bytes that the model was sent.
const SENT: u64 = 200;

/// Any bytes as the body of a request, on every route: it is read or refused, its bounds can be computed, and what goes to the
/// provider is the client's JSON, member by member the same text but for our documented edits.
pub(crate) fn body(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for route in [&CHAT as &dyn Route, &RESPONSES, &MESSAGES, &EMBEDDINGS, &IMAGES] {
        let Ok(ask) = route.read(text) else { continue };
        let filled = (ask.writes.limit == Limit::Unnamed).then_some(4_096);
        let sent = rewrite::upstream_body(&Bytes::copy_from_slice(bytes), route, &ask, MODEL, filled);
        let sent = std::str::from_utf8(&sent).expect("what is sent is text");
        assert!(serde_json::from_str::<&RawValue>(sent).is_ok(), "what is sent is JSON: {sent}");
        let sent = Object::parse(sent).expect("what is sent is an object without duplicates");
        assert_eq!(sent.get("model").map(str::trim), Some(&*format!("\"{MODEL}\"")), "the model is ours to name");
        let edited = |key: &str| EDITED.contains(&key) || filled.is_some() && key == route.words().limit;
        let kept = |object: &Object<'_>| -> Vec<(String, String)> {
            let members = object.members().iter().filter(|member| !edited(&member.key));
            members.map(|member| (member.key.to_string(), member.value.to_owned())).collect()
        };
        assert_eq!(kept(&sent), kept(&ask.body), "every other member is as its client wrote it");

        let limit = match ask.writes.limit {
            Limit::None => 0,
            Limit::Named(limit) => limit,
            Limit::Unnamed => 4_096,
        };
        let book = book();
        for model in book.models.values().filter(|model| route.is_answered_by(model)).take(3) {
            let bounds = bound::with_output(bound::without_output(&book, &ask, model), &ask, limit);
            assert!(bounds.input_tokens >= bound::text_bytes(&ask), "no text has more tokens than bytes");
            assert!(bound::hold(&book, model, &bounds) >= Nanocredits::ZERO);
        }
    }
}

/// Any bytes as what a provider streams, or answers as a whole: wherever reads cut it, the client gets the same and pays the
/// same, never more than was held where we estimate, and never nothing for what was delivered.
pub(crate) fn stream(bytes: &[u8]) {
    for route in [&CHAT as &'static dyn Route, &RESPONSES, &MESSAGES] {
        for include_usage in [false, true] {
            let whole = heard(route, include_usage, bytes, &mut [bytes.len()].into_iter());
            let mut cuts = Cuts(bytes.len() as u64);
            assert_eq!(heard(route, include_usage, bytes, &mut cuts), whole, "in pieces");
            if include_usage {
                assert_eq!(heard(route, include_usage, bytes, &mut std::iter::repeat(1)), whole, "byte by byte");
                let lines = with_line_feeds(bytes);
                assert_eq!(
                    heard(route, include_usage, &lines, &mut [lines.len()].into_iter()),
                    whole,
                    "other line ends"
                );
            }
        }
    }
    for route in [&CHAT as &'static dyn Route, &RESPONSES, &MESSAGES, &EMBEDDINGS, &IMAGES] {
        whole(route, bytes);
    }
}

/// The same with line feeds for all three ends of a line, which mean the same.
fn with_line_feeds(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && bytes[at - 1] == b'\r' => {}
            b'\r' => lines.push(b'\n'),
            other => lines.push(*other),
        }
    }
    lines
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Heard {
    /// What the client gets, by the standard's reading: a comment or an event's name and data each.
    events: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    broken: Option<Failure>,
    charged: Nanocredits,
    source: UsageSource,
    delivered: Delivered,
    id: Option<String>,
    model: Option<String>,
}

fn heard(
    route: &'static dyn Route,
    include_usage: bool,
    bytes: &[u8],
    reads: &mut dyn Iterator<Item = usize>,
) -> Heard {
    let (order, hold) = order(route, SENT);
    let mut course = Course::new(route, order.to_ask.connection.clone(), include_usage);
    let mut got = Vec::new();
    let (mut rest, mut result) = (bytes, Ok(()));
    while !rest.is_empty() && result.is_ok() && !course.is_done() {
        let (read, more) = rest.split_at(reads.next().unwrap_or(rest.len()).clamp(1, rest.len()));
        result = course.take(Bytes::copy_from_slice(read));
        got.extend_from_slice(&course.out().unwrap_or_default());
        rest = more;
    }
    let result = result.and_then(|()| course.end());
    got.extend_from_slice(&course.out().unwrap_or_default());
    let went = Went {
        served_model: course.model.as_deref(),
        provider_request_id: course.id.as_deref(),
        told: course.told,
        delivered: course.delivered,
        status: if result.is_ok() { UsageStatus::Success } else { UsageStatus::Error },
        error: None,
        first_byte: None,
    };
    let record = order.record(&went, order.arrived).expect("every usage is rated");
    let charged = record.charge.min(hold);
    if course.told.reported.is_none() {
        assert!(record.charge <= hold, "an estimate stays within what was held");
    }
    assert!(course.delivered.nothing() || charged > Nanocredits::ZERO, "something was delivered for nothing");
    if result.is_ok() {
        let cost = Cost { words: route.words(), usage: &record.usage, source: record.source, charged };
        got.extend_from_slice(&course.tail(cost));
    }
    Heard {
        events: events(&got),
        broken: result.err(),
        charged,
        source: record.source,
        delivered: course.delivered,
        id: course.id,
        model: course.model,
    }
}

/// A whole answer: its cost is told in it, and nothing else of it changes.
fn whole(route: &'static dyn Route, bytes: &[u8]) {
    let Some(text) = std::str::from_utf8(bytes).ok() else { return };
    let Some(said) = route.whole(text).filter(|said| said.error.is_none()) else { return };
    let (order, hold) = order(route, SENT);
    let told = Told { reported: said.usage, is_last: true };
    let went = Went {
        served_model: said.model.as_deref(),
        provider_request_id: said.id.as_deref(),
        told,
        delivered: said.delivered,
        status: UsageStatus::Success,
        error: None,
        first_byte: None,
    };
    let record = order.record(&went, order.arrived).expect("every usage is rated");
    let charged = record.charge.min(hold);
    let cost = Cost { words: route.words(), usage: &record.usage, source: record.source, charged };
    let Some(answer) = cost.into_whole(text) else { return };
    assert!(serde_json::from_str::<&RawValue>(&answer).is_ok(), "what is answered is JSON: {answer}");
    let kept = |text: &str| -> Vec<(String, String)> {
        let object = Object::parse(text).expect("an object without duplicates");
        let members = object.members().iter().filter(|member| member.key != "usage");
        members.map(|member| (member.key.to_string(), member.value.to_owned())).collect()
    };
    assert_eq!(kept(&answer), kept(text), "every other member is as the provider wrote it");
}

/// The events of a stream without the marks of their lines, which a read may cut in two.
fn events(bytes: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut framer = Framer::default();
    framer.push(Bytes::copy_from_slice(bytes));
    let mut events = Vec::new();
    while let Ok(Some(event)) = framer.cut() {
        let data = match sse::data(&event) {
            Data::None => None,
            Data::At(range) => Some(without_time(&event[range])),
            Data::Joined(lines) => Some(without_time(&lines)),
        };
        let other =
            event.split(|byte| b"\r\n".contains(byte)).filter(|line| !line.is_empty() && !line.starts_with(b"data:"));
        events.push((other.collect::<Vec<_>>().join(&b'\n'), data));
    }
    let rest = framer.rest().trim_ascii();
    if !rest.is_empty() {
        events.push((rest.to_vec(), None));
    }
    events
}

/// Data without the time, which stands in a usage event of ours: a second may go by between two readings.
fn without_time(data: &[u8]) -> Vec<u8> {
    const CREATED: &[u8] = b"\"created\":";
    match data.windows(CREATED.len()).position(|window| window == CREATED) {
        None => data.to_vec(),
        Some(at) => {
            let (before, after) = data.split_at(at + CREATED.len());
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            [before, &after[digits..]].concat()
        }
    }
}

/// Lengths of reads: from 1 to 64 bytes, the same ones for the same bytes.
struct Cuts(u64);

impl Iterator for Cuts {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(1 + (self.0 >> 58) as usize)
    }
}
