use std::borrow::Cow;

use memchr::memchr;
use serde_json::value::RawValue;

use crate::usage::Reported;

/// What an answer, or one event of a streamed one, says, as far as it matters to us.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    /// The provider's id for its answer.
    pub(crate) id: Option<Cow<'a, str>>,
    /// The model that answers, in the provider's words.
    pub(crate) model: Option<Cow<'a, str>>,
    /// What it delivers.
    pub(crate) delivered: Delivered,
    /// It tells all that was delivered once more.
    pub(crate) repeats: bool,
    /// What was used so far.
    pub(crate) usage: Option<Reported>,
    /// An error instead of an answer, or of the rest of it.
    pub(crate) error: Option<&'a RawValue>,
    /// How far a stream has come with it.
    pub(crate) stage: Stage,
    /// The cost is told in this event, so it waits for the settlement.
    pub(crate) tells_cost: bool,
    /// There is nothing in it but the usage.
    pub(crate) only_usage: bool,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// More is to come.
    #[default]
    Running,
    /// The model has ended; what comes now only says so.
    Finished,
    /// This was the last event.
    Over,
}

/// What was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Text, reasoning and arguments of tool calls, bytes.
    pub(crate) text_bytes: u64,
    /// The same as far as it was told in whole parts, which some streams repeat at the end of each and some tell in no
    /// other way, bytes.
    pub(crate) whole_bytes: u64,
    /// Images.
    pub(crate) images: u64,
}

impl Delivered {
    /// Nothing was.
    pub(crate) fn nothing(self) -> bool {
        self == Self::default()
    }

    /// Adds what came next.
    pub(crate) fn add(&mut self, more: Self) {
        self.text_bytes = self.text_bytes.saturating_add(more.text_bytes);
        self.whole_bytes = self.whole_bytes.saturating_add(more.whole_bytes);
        self.images = self.images.saturating_add(more.images);
    }

    /// Takes what was told in the end for all that there was, if it is more.
    pub(crate) fn at_least(&mut self, all: Self) {
        self.whole_bytes = self.whole_bytes.max(all.text());
        self.images = self.images.max(all.images);
    }

    /// Adds a text, piece by piece.
    pub(crate) fn add_text(&mut self, text: &RawValue) {
        self.text_bytes = self.text_bytes.saturating_add(length(text));
    }

    /// Adds a text that was told piece by piece before, or is told at once.
    pub(crate) fn add_whole(&mut self, text: &RawValue) {
        self.whole_bytes = self.whole_bytes.saturating_add(length(text));
    }

    /// All text, bytes.
    pub(crate) fn text(self) -> u64 {
        self.text_bytes.max(self.whole_bytes)
    }
}

/// Bytes of a JSON string's text; of anything else, of its JSON. An escape of a character counts as three bytes, which is
/// what most characters that are escaped have.
pub(crate) fn length(value: &RawValue) -> u64 {
    let json = value.get().as_bytes();
    if json.first() != Some(&b'"') {
        return if json == b"null" { 0 } else { json.len() as u64 };
    }
    let mut rest = &json[1..json.len() - 1];
    let mut length = 0;
    while let Some(at) = memchr(b'\\', rest) {
        let (escape, bytes) = if rest.get(at + 1) == Some(&b'u') { (6, 3) } else { (2, 1) };
        length += at + bytes;
        rest = rest.get(at + escape..).unwrap_or_default();
    }
    (length + rest.len()) as u64
}
