//! `POST /v1/responses`.

mod answer;
mod ask;
mod events;
mod input;

use schemas::event::RequestKind;
use schemas::price_book::{Kind, Model};

use crate::error::{Dialect, Invalid};
use crate::paid::{Ask, Route, Said, Words};
use crate::upstream::Api;

/// OpenAI's responses.
pub(crate) static RESPONSES: Responses = Responses;

/// See [`RESPONSES`].
#[derive(Debug)]
pub(crate) struct Responses;

static WORDS: Words = Words {
    does: "responses",
    prompt: "input",
    limit: "max_output_tokens",
    usage_of_event: &["response", "usage"],
    read: "input_tokens",
    written: Some("output_tokens"),
    total: true,
};

impl Route for Responses {
    fn kind(&self) -> RequestKind {
        RequestKind::Response
    }

    fn api(&self) -> Api {
        Api::Responses
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn dialect(&self) -> Dialect {
        Dialect::OpenAiEvents
    }

    fn is_answered_by(&self, model: &Model) -> bool {
        model.kind == Kind::Language
    }

    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid> {
        ask::read(text)
    }

    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        answer::whole(text)
    }

    fn event<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        events::event(text)
    }
}
