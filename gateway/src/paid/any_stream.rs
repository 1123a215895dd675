//! Whatever a provider streams, and wherever it breaks off: the client gets what came, from its beginning and with nothing
//! but our documented edits, and is charged for what it got, never for more than was held.

use bytes::Bytes;
use proptest::prelude::*;
use schemas::event::{UsageSource, UsageStatus};
use schemas::money::Nanocredits;

use super::cost::Cost;
use super::course::Course;
use super::order::Went;
use super::route::Route;
use super::sample::order;
use crate::chat::CHAT;
use crate::messages::MESSAGES;
use crate::responses::RESPONSES;

const PLACE: &str = r#""usage":{"#;
const COMMENT: &str = ": keep-alive\n\n";

/// One event of a provider, and what we know of it without reading it.
#[derive(Clone, Debug)]
struct Piece {
    text: String,
    /// Bytes of content.
    content: usize,
    /// The cost can be told in it.
    has_place: bool,
    /// Goes to no client, or only to one that wants usage.
    dropped: Dropped,
    /// The provider breaks off with it.
    is_error: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Dropped {
    Never,
    Always,
    Unwanted,
}

fn data(json: &str, content: usize) -> Piece {
    Piece {
        text: format!("data: {json}\n\n"),
        content,
        dropped: Dropped::Never,
        has_place: json.contains(PLACE) && !json.contains("message_start"),
        is_error: false,
    }
}

fn named(name: &str, json: &str, content: usize) -> Piece {
    Piece {
        text: format!("event: {name}\ndata: {json}\n\n"),
        content,
        dropped: Dropped::Never,
        has_place: json.contains(PLACE) && !json.contains("message_start"),
        is_error: false,
    }
}

/// The provider's word that it fails, as it stands in any of the streams. It is the client's in our words only.
fn error() -> impl Strategy<Value = Piece> {
    let json = r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#;
    Just(Piece { is_error: true, ..named("error", json, 0) })
}

fn noise() -> impl Strategy<Value = Piece> {
    prop_oneof![
        Just(Piece { text: COMMENT.into(), content: 0, has_place: false, dropped: Dropped::Never, is_error: false }),
        Just(Piece {
            text: "data:\n\n".into(),
            content: 0,
            has_place: false,
            dropped: Dropped::Always,
            is_error: false
        }),
    ]
}

fn chat_events() -> impl Strategy<Value = Piece> {
    let counts = (0_u64..400, 0_u64..400);
    prop_oneof![
        4 => "[a-z]{1,40}".prop_map(|text| data(&format!(r#"{{"id":"g","model":"m","choices":[{{"delta":{{"content":"{text}"}}}}]}}"#), text.len())),
        2 => "[a-z]{1,9}".prop_map(|text| data(&format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{{"function":{{"arguments":"{text}"}}}}]}}}}]}}"#), text.len())),
        1 => "[a-z]{1,9}".prop_map(|text| data(&format!(r#"{{"choices":[{{"delta":{{"reasoning":"{text}"}}}}]}}"#), text.len())),
        1 => Just(data(r#"{"choices":[{"delta":{"audio":{"data":"AAAA","transcript":"hello"}}}]}"#, 5)),
        1 => Just(data(r#"{"choices":[{"delta":{"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}}]}"#, 4)),
        1 => Just(data(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, 0)),
        1 => counts.clone().prop_map(|(read, written)| Piece {
            dropped: Dropped::Unwanted,
            ..data(&format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{read},"completion_tokens":{written}}}}}"#), 0)
        }),
        1 => counts.prop_map(|(read, written)| data(&format!(r#"{{"choices":[{{"delta":{{"content":"ab"}}}}],"usage":{{"prompt_tokens":{read},"completion_tokens":{written}}}}}"#), 2)),
        1 => noise(),
        1 => error(),
    ]
}

fn response_events() -> impl Strategy<Value = Piece> {
    prop_oneof![
        1 => Just(named("response.created", r#"{"type":"response.created","response":{"id":"r","model":"m","output":[],"usage":null}}"#, 0)),
        4 => "[a-z]{1,40}".prop_map(|text| named("response.output_text.delta", &format!(r#"{{"type":"response.output_text.delta","delta":"{text}"}}"#), text.len())),
        1 => "[a-z]{1,9}".prop_map(|text| named("response.function_call_arguments.delta", &format!(r#"{{"type":"response.function_call_arguments.delta","delta":"{text}"}}"#), text.len())),
        1 => "[a-z]{1,9}".prop_map(|text| named("response.output_item.done", &format!(r#"{{"type":"response.output_item.done","item":{{"type":"message","content":[{{"text":"{text}"}}]}}}}"#), text.len())),
        1 => Just(named("response.content_part.done", r#"{"type":"response.content_part.done","part":{}}"#, 0)),
        1 => noise(),
        1 => error(),
    ]
}

fn message_events() -> impl Strategy<Value = Piece> {
    prop_oneof![
        1 => (0_u64..400).prop_map(|read| named("message_start", &format!(r#"{{"type":"message_start","message":{{"id":"m","model":"x","content":[],"usage":{{"input_tokens":{read},"output_tokens":1}}}}}}"#), 0)),
        4 => "[a-z]{1,40}".prop_map(|text| named("content_block_delta", &format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{text}"}}}}"#), text.len())),
        1 => "[a-z]{1,9}".prop_map(|text| named("content_block_delta", &format!(r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":"{text}"}}}}"#), text.len())),
        1 => Just(named("ping", r#"{"type":"ping"}"#, 0)),
        1 => (0_u64..400).prop_map(|written| named("message_delta", &format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}},"usage":{{"output_tokens":{written}}}}}"#), 0)),
        1 => noise(),
        1 => error(),
    ]
}

/// How each of the routes ends a stream.
fn chat_end() -> Vec<Piece> {
    vec![Piece {
        text: "data: [DONE]\n\n".into(),
        content: 0,
        has_place: false,
        dropped: Dropped::Never,
        is_error: false,
    }]
}

fn response_end() -> Vec<Piece> {
    let json = r#"{"type":"response.completed","response":{"id":"r","output":[],"usage":{"input_tokens":7,"output_tokens":9}}}"#;
    vec![named("response.completed", json, 0)]
}

fn message_end() -> Vec<Piece> {
    vec![named("message_stop", r#"{"type":"message_stop"}"#, 0)]
}

/// What the client gets, by our documented edits, of events that came whole.
fn edited(events: &[Piece], include_usage: bool) -> String {
    let kept = events.iter().filter(|event| match event.dropped {
        Dropped::Never => true,
        Dropped::Always => false,
        Dropped::Unwanted => include_usage,
    });
    kept.map(|event| event.text.as_str()).collect()
}

struct Case {
    events: Vec<Piece>,
    cut: usize,
    cuts: Vec<usize>,
    include_usage: bool,
}

fn cases<S: Strategy<Value = Piece>>(event: impl Fn() -> S, end: fn() -> Vec<Piece>) -> impl Strategy<Value = Case> {
    let events = prop::collection::vec(event(), 0..14);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..8);
    (events, any::<bool>(), any::<prop::sample::Index>(), cuts, any::<bool>()).prop_map(
        move |(mut events, whole, cut, cuts, include_usage)| {
            events.extend(end());
            let length: usize = events.iter().map(|event| event.text.len()).sum();
            let cut = if whole { length } else { cut.index(length + 1) };
            let mut cuts: Vec<usize> = cuts.iter().map(|at| at.index(cut + 1)).collect();
            cuts.extend([0, cut]);
            cuts.sort_unstable();
            Case { events, cut, cuts, include_usage }
        },
    )
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: String = self.events.iter().map(|event| event.text.as_str()).collect();
        write!(f, "{:?} read at {:?}, include_usage {}", &all[..self.cut], self.cuts, self.include_usage)
    }
}

fn check(route: &'static dyn Route, case: &Case) -> Result<(), TestCaseError> {
    let all: String = case.events.iter().map(|event| event.text.as_str()).collect();
    let (order, hold) = order(route, 200);
    let mut course = Course::new(route, order.to_ask.connection.clone(), case.include_usage);
    let mut got = String::new();
    let mut result = Ok(());
    for pair in case.cuts.windows(2) {
        result = result.and_then(|()| course.take(Bytes::copy_from_slice(&all.as_bytes()[pair[0]..pair[1]])));
        got.push_str(&course.out().map_or(String::new(), |out| String::from_utf8(out.to_vec()).unwrap()));
    }
    let came_whole = result.and_then(|()| course.end()).is_ok();
    got.push_str(&course.out().map_or(String::new(), |out| String::from_utf8(out.to_vec()).unwrap()));

    // What comes after an error is never heard.
    let heard = case.events.iter().position(|event| event.is_error).unwrap_or(case.events.len());
    let heard = &case.events[..heard];

    // Before the settlement: from the beginning, and nothing that did not come. An event that lacks but its last line ends is
    // whole, and gets them.
    // Comments do not wait for what is held back, so they are looked at apart.
    let comments = |text: &str| text.matches(COMMENT).count();
    let before_error: usize = heard.iter().map(|event| event.text.len()).sum();
    let came = comments(&all[..case.cut.min(before_error)]);
    prop_assert!(comments(&got) == came || !came_whole && comments(&got) <= came, "each comment passes: {got:?}");
    let expected = edited(heard, case.include_usage).replace(COMMENT, "");
    let mut got = got.replace(COMMENT, "");
    prop_assert!(expected.starts_with(got.trim_end()), "{got:?} is no beginning of {expected:?}");

    let went = Went {
        served_model: None,
        provider_request_id: None,
        told: course.told,
        delivered: course.delivered,
        status: if came_whole { UsageStatus::Success } else { UsageStatus::Error },
        error: None,
        first_byte: None,
    };
    let record = order.record(&went, order.arrived).unwrap();
    let charged = record.charge.min(hold);
    if record.source == UsageSource::Estimated && course.told.reported.is_none() {
        prop_assert!(record.charge <= hold, "an estimate stays within what was held");
    }
    let mut at = 0;
    let whole_events = heard.iter().take_while(|event| {
        at += event.text.len();
        at <= case.cut
    });
    let content: usize = whole_events.map(|event| event.content).sum();
    if content > 0 {
        prop_assert!(
            !course.delivered.nothing() && charged > Nanocredits::ZERO,
            "{content} bytes were delivered for nothing"
        );
    }

    if came_whole && case.cut == all.len() {
        let cost = Cost { words: route.words(), usage: &record.usage, source: record.source, charged };
        let told = format!(r#""cost":{},"cost_credits":"{charged}""#, charged.in_dollars().unwrap());
        got.push_str(std::str::from_utf8(&course.tail(cost)).unwrap());
        // A client that wants the usage of a provider that told none gets ours, before the end.
        let plain = got.replace(&format!("{told},"), "");
        let ours = plain.contains(&told);
        prop_assert!(plain == expected || (ours && case.include_usage), "{plain:?} is not {expected:?}");
        // Wherever the event before the end, or the end itself, has a place for it.
        let spoken = case.events.iter().filter(|event| event.text.contains("data: {") || event.text.contains("[DONE]"));
        let last_two = spoken.rev().take(2).find(|event| event.has_place);
        let must = last_two.is_some_and(|event| event.dropped == Dropped::Never || case.include_usage);
        let times = got.matches(&told).count();
        prop_assert!(times <= 1 && (times == 1 || !must), "the cost is told {times} times: {got:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn of_chat_completions(case in cases(chat_events, chat_end)) {
        check(&CHAT, &case)?;
    }

    #[test]
    fn of_responses(case in cases(response_events, response_end)) {
        check(&RESPONSES, &case)?;
    }

    #[test]
    fn of_messages(case in cases(message_events, message_end)) {
        check(&MESSAGES, &case)?;
    }
}
