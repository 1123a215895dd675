//! The course of a streamed answer: which events go on at once, which are held back for the settlement, and when it is
//! over or broken. Pure: bytes in, bytes out; the pump in `stream.rs` moves them.
//!
//! Held back are the last event that tells the usage, into which the cost is spliced, and the event that ends the stream. If
//! a provider reports usage all along, each report is held until the next event shows that it was not the last.

use bytes::{Bytes, BytesMut};

use super::cost::Cost;
use super::order::Told;
use super::route::Route;
use super::said::{Delivered, Said, Stage};
use crate::sse::{self, Data, Framer};
use crate::upstream::{Connection, Failure};

/// How far a stream has come.
pub(super) struct Course {
    route: &'static dyn Route,
    connection: Connection,
    /// The client wants the usage event.
    include_usage: bool,
    framer: Framer,
    out: Out,
    held: Option<Held>,
    /// The last event has come. It may be empty: what is held can be the last one itself.
    done: Option<Bytes>,
    stage: Stage,
    /// Events with data that have come.
    pub(super) events: u64,
    /// What went to the client, or is about to.
    pub(super) delivered: Delivered,
    /// The provider's last word on the usage.
    pub(super) told: Told,
    /// The provider's id for its answer.
    pub(super) id: Option<String>,
    /// The model that answers, in the provider's words.
    pub(super) model: Option<String>,
}

struct Held {
    event: Bytes,
    /// The event carries nothing but the usage, for a client that did not ask for it.
    unwanted: bool,
}

impl Course {
    /// Nothing has come yet.
    pub(super) fn new(route: &'static dyn Route, connection: Connection, include_usage: bool) -> Self {
        Self {
            route,
            connection,
            include_usage,
            framer: Framer::default(),
            out: Out::default(),
            held: None,
            done: None,
            stage: Stage::Running,
            events: 0,
            delivered: Delivered::default(),
            told: Told::default(),
            id: None,
            model: None,
        }
    }

    /// Who answers, where that is not who was to be asked first.
    pub(super) fn answered_by(&mut self, connection: &Connection) {
        if !self.connection.is(connection) {
            self.connection = connection.clone();
        }
    }

    /// Takes what was read of the provider's answer.
    ///
    /// # Errors
    /// When the stream is broken. What can still go to the client is in [`Self::out`].
    pub(super) fn take(&mut self, read: Bytes) -> Result<(), Failure> {
        self.framer.push(read);
        while self.done.is_none() {
            match self.framer.cut() {
                Ok(Some(event)) => self.event(event).inspect_err(|_| self.let_go())?,
                Ok(None) => break,
                Err(sse::TooLong) => {
                    self.let_go();
                    return Err(Failure::TooLarge);
                }
            }
        }
        Ok(())
    }

    /// The provider's answer has ended.
    ///
    /// # Errors
    /// When it should not have.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        if self.done.is_some() {
            return Ok(());
        }
        // A last event without its blank line is whole if it can be read; half a comment is nothing.
        if sse::data(self.framer.rest()) != Data::None {
            self.take(Bytes::from_static(b"\n\n")).map_err(|failure| match failure {
                Failure::Malformed => Failure::Cut,
                other => other,
            })?;
        }
        if self.done.is_some() {
            return Ok(());
        }
        // Whoever has finished and said what it used has nothing more to say but that this is the end.
        let may_forget = self.stage == Stage::Finished && self.told.reported.is_some();
        match self.route.last_event().filter(|_| may_forget) {
            Some(event) => {
                self.done = Some(Bytes::from_static(event.as_bytes()));
                Ok(())
            }
            None => {
                self.let_go();
                Err(Failure::Cut)
            }
        }
    }

    /// The last event has come: what is left is the settlement, and [`Self::tail`].
    pub(super) fn is_done(&self) -> bool {
        self.done.is_some()
    }

    /// What can go to the client now.
    pub(super) fn out(&mut self) -> Option<Bytes> {
        self.out.take()
    }

    /// The last events, with the cost in them.
    pub(super) fn tail(&mut self, cost: Cost<'_>) -> Bytes {
        match self.held.take() {
            Some(held) if held.unwanted => {}
            Some(held) => self.out.push(with_cost(held.event, cost)),
            None if self.include_usage => {
                if let Some(event) = self.usage_event(cost) {
                    self.out.push(event.into());
                }
            }
            None => {}
        }
        self.out.push(self.done.take().unwrap_or_default());
        self.out.take().unwrap_or_default()
    }

    fn event(&mut self, event: Bytes) -> Result<(), Failure> {
        let data = match sse::data(&event) {
            Data::None => {
                self.out.push(event);
                return Ok(());
            }
            Data::At(range) => event.slice(range),
            Data::Joined(lines) => Bytes::from(lines),
        };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            // Where a stream ends in another way, this is nobody's word.
            if self.route.ends_with_done() {
                self.done = Some(whole_line_end(event));
            }
            return Ok(());
        }
        // An event that says nothing would stop every SDK.
        if data.is_empty() {
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|_| Failure::Malformed)?;
        let said = self.route.event(text).ok_or(Failure::Malformed)?;
        self.events += 1;
        self.note(&said);
        if let Some(error) = said.error {
            return Err(crate::upstream::said(&self.connection, error));
        }
        let is_last = said.stage == Stage::Over;
        // Nothing but the end comes after what is held: it was the last that tells the usage.
        if !is_last || said.tells_cost {
            self.let_go();
        }
        if said.tells_cost {
            let unwanted = said.only_usage && !self.include_usage;
            self.held = Some(Held { event: if is_last { whole_line_end(event) } else { event }, unwanted });
            if is_last {
                self.done = Some(Bytes::new());
            }
        } else if is_last {
            self.done = Some(whole_line_end(event));
        } else {
            self.out.push(event);
        }
        Ok(())
    }

    fn note(&mut self, said: &Said<'_>) {
        if said.repeats {
            self.delivered.at_least(said.delivered);
        } else {
            self.delivered.add(said.delivered);
        }
        self.stage = self.stage.max(said.stage);
        if self.id.is_none() {
            self.id = said.id.as_deref().filter(|id| !id.is_empty()).map(str::to_owned);
        }
        if self.model.is_none() {
            self.model = said.model.as_deref().filter(|model| !model.is_empty()).map(str::to_owned);
        }
        match said.usage {
            Some(usage) => {
                self.told.reported = Some(usage.after(self.told.reported));
                self.told.is_last = said.tells_cost || said.error.is_some();
            }
            None if !said.delivered.nothing() => self.told.is_last = false,
            None => {}
        }
    }

    /// What was held back was not the last: it goes as it came.
    fn let_go(&mut self) {
        if let Some(held) = self.held.take_if(|held| !held.unwanted) {
            self.out.push(held.event);
        }
        self.held = None;
    }

    /// The usage event for a client that asked a provider which has none.
    fn usage_event(&self, cost: Cost<'_>) -> Option<String> {
        let text = |value: &Option<String>| serde_json::to_string(value.as_deref().unwrap_or("")).unwrap_or_default();
        self.route.usage_event(&text(&self.id), &text(&self.model), &cost.our_usage())
    }
}

/// Nothing is read after the last event, so the other half of its last line end is added here.
fn whole_line_end(event: Bytes) -> Bytes {
    if event.ends_with(b"\n\r") { [&event[..], b"\n"].concat().into() } else { event }
}

/// The event with the cost in its usage; as it is if that cannot be done.
fn with_cost(event: Bytes, cost: Cost<'_>) -> Bytes {
    let (before, json, after) = match sse::data(&event) {
        Data::At(range) => (event.slice(..range.start), event.slice(range.clone()), event.slice(range.end..)),
        // In JSON a line's end is a space.
        Data::Joined(lines) => {
            let line: Vec<u8> = lines.into_iter().map(|byte| if byte == b'\n' { b' ' } else { byte }).collect();
            let before = [sse::name_line(&event), b"data: "].concat();
            (before.into(), line.into(), Bytes::from_static(b"\n\n"))
        }
        Data::None => return event,
    };
    let spliced = std::str::from_utf8(&json).ok().and_then(|json| cost.into_event(json));
    match spliced {
        Some(json) => [&before[..], json.as_bytes(), &after[..]].concat().into(),
        None => event,
    }
}

/// Bytes that are about to go out: one event as it is, several put together, so that they are written at once.
#[derive(Default)]
struct Out {
    one: Option<Bytes>,
    several: BytesMut,
}

impl Out {
    fn push(&mut self, bytes: Bytes) {
        match self.one.take() {
            None if self.several.is_empty() => self.one = Some(bytes),
            first => {
                self.several.extend_from_slice(first.as_deref().unwrap_or_default());
                self.several.extend_from_slice(&bytes);
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        self.one.take().or_else(|| (!self.several.is_empty()).then(|| self.several.split().freeze()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use schemas::event::UsageSource;
    use schemas::rate::Usage;

    use super::*;
    use crate::chat::CHAT;

    const ROLE: &str = "data: {\"id\":\"gen_1\",\"model\":\"m-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\"}}],\"usage\":null}\n\n";
    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"four\"}}]}\n\n";
    const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n\n";
    const PRICED: &str = "data: {\"choices\":[],\"usage\":{\"cost\":0.0336,\"cost_credits\":\"3.36\",\"prompt_tokens\":2,\"completion_tokens\":1}}\n\n";
    const END: &str = "data: [DONE]\n\n";

    fn course(include_usage: bool) -> Course {
        let connection = Connection::new("test", &"http://localhost/v1".parse().unwrap(), "vck_secret").unwrap();
        Course::new(&CHAT, connection, include_usage)
    }

    fn cost(usage: &Usage) -> Cost<'_> {
        Cost { words: CHAT.words(), usage, source: UsageSource::Estimated, charged: "3.36".parse().unwrap() }
    }

    fn text(bytes: Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    /// What a client gets of these reads, and how it ends.
    fn run(course: &mut Course, reads: &[&str]) -> (String, Result<(), Failure>) {
        let mut got = String::new();
        for read in reads {
            let result = course.take(Bytes::copy_from_slice(read.as_bytes()));
            got.push_str(&course.out().map(text).unwrap_or_default());
            if result.is_err() {
                return (got, result);
            }
        }
        let result = course.end();
        got.push_str(&course.out().map(text).unwrap_or_default());
        (got, result)
    }

    #[test]
    fn usage_and_done_wait_for_the_settlement() {
        let mut course = course(true);
        let (got, end) = run(&mut course, &[ROLE, TEXT, FINISH, USAGE, END]);
        assert_eq!((got, end), ([ROLE, TEXT, FINISH].concat(), Ok(())));
        assert_eq!(text(course.tail(cost(&Usage::default()))), [PRICED, END].concat());
        assert_eq!((course.id.as_deref(), course.model.as_deref()), (Some("gen_1"), Some("m-1")));
        assert_eq!(course.delivered.text_bytes, 4);
    }

    #[test]
    fn who_did_not_ask_gets_no_usage_event() {
        let mut course = course(false);
        let (got, end) = run(&mut course, &[ROLE, TEXT, FINISH, USAGE, END]);
        assert_eq!((got, end), ([ROLE, TEXT, FINISH].concat(), Ok(())));
        assert_eq!(text(course.tail(cost(&Usage::default()))), END);
        assert_eq!(course.told.reported.unwrap().usage().input_tokens, 2);
    }

    #[test]
    fn usage_on_the_finish_chunk_is_found() {
        let finish = FINISH.replace("]}\n", "],\"usage\":{\"prompt_tokens\":9,\"cost\":1}}\n");
        let mut course = course(false);
        let (got, end) = run(&mut course, &[TEXT, &finish, END]);
        assert_eq!((got, end), (TEXT.to_owned(), Ok(())));
        let tail = text(course.tail(cost(&Usage::default())));
        assert!(tail.contains(r#""usage":{"cost_credits":"3.36","prompt_tokens":9,"cost":0.0336}"#), "{tail}");
    }

    #[test]
    fn the_last_report_counts_and_only_it_is_priced() {
        let report = |tokens: u32| TEXT.replace("]}\n", &format!("],\"usage\":{{\"completion_tokens\":{tokens}}}}}\n"));
        let mut course = course(true);
        let (got, end) = run(&mut course, &[&report(1), &report(2), &report(3), END]);
        assert_eq!((got, end), (report(1) + &report(2), Ok(())));
        assert_eq!(course.told.reported.unwrap().usage().output_tokens, 3);
        assert!(text(course.tail(cost(&Usage::default()))).contains("cost_credits"));
    }

    #[test]
    fn who_asked_a_provider_without_usage_gets_an_estimate() {
        let mut course = course(true);
        let (_, end) = run(&mut course, &[ROLE, TEXT, FINISH, END]);
        assert_eq!(end, Ok(()));
        let usage = Usage { input_tokens: 5, output_tokens: 1, ..Usage::default() };
        let tail = text(course.tail(cost(&usage)));
        assert!(tail.contains(r#""total_tokens":6,"estimated":true"#) && tail.ends_with(END), "{tail}");
        assert!(tail.contains(r#""id":"gen_1""#), "{tail}");
    }

    #[test]
    fn a_broken_stream_is_never_an_end() {
        for (reads, failure) in [
            (vec![ROLE, TEXT], Failure::Cut),
            (vec![ROLE, TEXT, FINISH], Failure::Cut),
            (vec![ROLE, TEXT, "data: {\"choices\":[{\"delta\":{\"cont"], Failure::Cut),
            (vec![TEXT, "data: {oops}\n\n", TEXT], Failure::Malformed),
            (vec![TEXT, "data: {\"error\":{\"message\":\"no\"}}\n\n"], Failure::Said { message: Some("no".into()) }),
            (vec![], Failure::Cut),
        ] {
            let mut course = course(true);
            assert_eq!(run(&mut course, &reads).1, Err(failure), "{reads:?}");
        }
    }

    #[test]
    fn a_finished_stream_may_forget_to_say_done() {
        let mut course = course(true);
        assert_eq!(run(&mut course, &[TEXT, FINISH, USAGE]).1, Ok(()));
        assert_eq!(text(course.tail(cost(&Usage::default()))), [PRICED, END].concat());
    }

    #[test]
    fn comments_pass_and_empty_events_do_not() {
        let mut course = course(false);
        let (got, _) = run(&mut course, &[": keep-alive\n\n", "data:\n\n", TEXT, END]);
        assert_eq!(got, [": keep-alive\n\n", TEXT].concat());
    }

    proptest! {
        #[test]
        fn reads_are_of_no_meaning(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12), crlf: bool) {
            let dress = |text: String| if crlf { text.replace('\n', "\r\n") } else { text };
            let all = dress([ROLE, ": c\n\n", TEXT, TEXT, FINISH, USAGE, END].concat());
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
            at.extend([0, all.len()]);
            at.sort_unstable();
            let reads: Vec<&str> = at.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            let mut course = course(true);
            let (mut got, end) = run(&mut course, &reads);
            prop_assert_eq!(end, Ok(()));
            got.push_str(&text(course.tail(cost(&Usage::default()))));
            prop_assert_eq!(got, dress([ROLE, ": c\n\n", TEXT, TEXT, FINISH, PRICED, END].concat()));
        }
    }
}
