//! `POST /v1/embeddings`.

mod ask;
mod input;
mod vectors;

use std::borrow::Cow;

use schemas::event::RequestKind;
use schemas::price_book::{Kind, Model};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Invalid;
use crate::fields::is_empty_array;
use crate::paid::{Ask, Delivered, Route, Said, Words};
use crate::upstream::Api;
use crate::usage::Reported;

/// OpenAI's embeddings.
pub(crate) static EMBEDDINGS: Embeddings = Embeddings;

/// See [`EMBEDDINGS`].
#[derive(Debug)]
pub(crate) struct Embeddings;

static WORDS: Words = Words {
    does: "embeddings",
    prompt: "input",
    limit: "",
    usage_of_event: &["usage"],
    read: "prompt_tokens",
    written: None,
    total: true,
};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Route for Embeddings {
    fn kind(&self) -> RequestKind {
        RequestKind::Embedding
    }

    fn api(&self) -> Api {
        Api::Embeddings
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn is_answered_by(&self, model: &Model) -> bool {
        model.kind == Kind::Embedding
    }

    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid> {
        ask::read(text)
    }

    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        let answer: Answer<'a> = serde_json::from_str(text).ok()?;
        let list = answer.data.map(RawValue::get).filter(|data| data.starts_with('['));
        if list.is_none() && answer.error.is_none() {
            return None;
        }
        // Vectors are no text, but something.
        let whole_bytes = list.filter(|list| !is_empty_array(list)).map_or(0, |list| list.len() as u64);
        let delivered = Delivered { whole_bytes, ..Delivered::default() };
        let usage = answer.usage.and_then(|usage| Reported::read(usage.get()));
        Some(Said { id: answer.id, model: answer.model, delivered, usage, error: answer.error, ..Said::default() })
    }

    fn event<'a>(&self, _text: &'a str) -> Option<Said<'a>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_an_answer_and_nothing_else_is() {
        let text = r#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":7,"total_tokens":7}}"#;
        let said = EMBEDDINGS.whole(text).unwrap();
        assert_eq!((said.usage.unwrap().usage().input_tokens, said.model.as_deref()), (7, Some("m")));
        assert!(EMBEDDINGS.whole(r#"{"error":{"message":"no"}}"#).unwrap().error.is_some());
        for text in ["{}", "[]", r#"{"data":null}"#, r#"{"data":"x"}"#] {
            assert!(EMBEDDINGS.whole(text).is_none(), "{text}");
        }
    }
}
