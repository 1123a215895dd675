//! `POST /v1/chat/completions`.

mod answer;
mod ask;
mod options;
mod prompt;
mod turns;

pub(crate) use options::says_json;

use schemas::event::RequestKind;
use schemas::price_book::{Kind, Model};

use crate::error::Invalid;
use crate::paid::{Ask, Route, Said, Words};
use crate::splice::{Object, Splice};
use crate::upstream::Api;

/// Chat completions.
pub(crate) static CHAT: Chat = Chat;

/// See [`CHAT`].
#[derive(Debug)]
pub(crate) struct Chat;

static WORDS: Words = Words {
    does: "chat",
    prompt: "messages",
    // Not `max_completion_tokens`, though reasoning models of OpenAI want that from OpenAI itself: the upstream gateway takes
    // `max_tokens` for every model and translates it, and so does every other server of this API.
    limit: "max_tokens",
    usage_of_event: &["usage"],
    read: "prompt_tokens",
    written: Some("completion_tokens"),
    total: true,
};

impl Route for Chat {
    fn kind(&self) -> RequestKind {
        RequestKind::Chat
    }

    fn api(&self) -> Api {
        Api::Chat
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn is_answered_by(&self, model: &Model) -> bool {
        model.kind == Kind::Language
    }

    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid> {
        ask::read(text)
    }

    fn rewrite(&self, ask: &Ask<'_>, splice: &mut Splice<'_, '_>) {
        if ask.stream {
            // Always asked for: without the usage at its end a stream could not be charged exactly.
            splice.set("stream_options", with_usage(ask.body.get("stream_options")));
        }
    }

    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        answer::whole(text)
    }

    fn event<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        answer::event(text)
    }

    fn ends_with_done(&self) -> bool {
        true
    }

    fn last_event(&self) -> Option<&'static str> {
        Some("data: [DONE]\n\n")
    }

    fn usage_event(&self, id: &str, model: &str, usage: &str) -> Option<String> {
        let created = chrono::Utc::now().timestamp();
        Some(format!(
            "data: {{\"id\":{id},\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{model},\"choices\":[],\"usage\":{usage}}}\n\n"
        ))
    }
}

fn with_usage(options: Option<&str>) -> String {
    let object = options.and_then(|text| Object::parse(text).ok());
    let Some(object) = object else { return r#"{"include_usage":true}"#.to_owned() };
    let mut splice = Splice::new(&object);
    splice.set("include_usage", "true".to_owned());
    splice.finish().unwrap_or_else(|| object.text().to_owned())
}
