//! `POST /v1/messages`: Anthropic's interface, for its clients.

mod answer;
mod ask;
mod prompt;
mod tools;

use axum::http::HeaderName;
use schemas::event::RequestKind;
use schemas::price_book::{Kind, Model};

use crate::error::{Dialect, Invalid};
use crate::paid::{Ask, Route, Said, Words};
use crate::upstream::Api;

/// Anthropic's messages.
pub(crate) static MESSAGES: Messages = Messages;

/// See [`MESSAGES`].
#[derive(Debug)]
pub(crate) struct Messages;

static WORDS: Words = Words {
    does: "messages",
    prompt: "messages",
    limit: "max_tokens",
    usage_of_event: &["usage"],
    read: "input_tokens",
    written: Some("output_tokens"),
    total: false,
};

/// Which form of the interface is spoken, and what of it is tried out. None of it changes a price by itself: what does is
/// in the body, and closed there.
static PASSED_ON: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-version"), HeaderName::from_static("anthropic-beta")];

impl Route for Messages {
    fn kind(&self) -> RequestKind {
        RequestKind::Message
    }

    fn api(&self) -> Api {
        Api::Messages
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn is_answered_by(&self, model: &Model) -> bool {
        model.kind == Kind::Language
    }

    fn passed_on(&self) -> &'static [HeaderName] {
        &PASSED_ON
    }

    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid> {
        ask::read(text)
    }

    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        answer::whole(text)
    }

    fn event<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        answer::event(text)
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
    }
}
