//! `POST /v1/images/generations`.

mod ask;
mod size;

use std::borrow::Cow;

use schemas::event::RequestKind;
use schemas::price_book::{Kind, Model};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::{Error, Invalid};
use crate::paid::{Ask, Delivered, Route, Said, Words};
use crate::splice::Splice;
use crate::upstream::Api;
use crate::usage::Reported;

/// OpenAI's image generations.
pub(crate) static IMAGES: Images = Images;

/// See [`IMAGES`].
#[derive(Debug)]
pub(crate) struct Images;

static WORDS: Words = Words {
    does: "images here",
    prompt: "prompt",
    limit: "",
    usage_of_event: &["usage"],
    read: "input_tokens",
    written: Some("output_tokens"),
    total: true,
};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<Vec<Image<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow, default)]
    b64_json: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

impl Route for Images {
    fn kind(&self) -> RequestKind {
        RequestKind::Image
    }

    fn api(&self) -> Api {
        Api::Images
    }

    fn words(&self) -> &'static Words {
        &WORDS
    }

    fn is_answered_by(&self, model: &Model) -> bool {
        model.kind == Kind::Image
    }

    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid> {
        ask::read(text)
    }

    fn check_model(&self, ask: &Ask<'_>, model: &Model) -> Result<(), Error> {
        ask::check_model(ask, model)
    }

    fn unknown_model(&self, error: Error) -> Error {
        match error {
            Error::ModelNotFound { message } => Error::InvalidImage(Invalid::new("invalid_value", "model", message)),
            other => other,
        }
    }

    fn rewrite(&self, ask: &Ask<'_>, splice: &mut Splice<'_, '_>) {
        // The provider knows sizes, no ratios.
        if let Some(size) = ask::size_of_ratio(&ask.body) {
            splice.set("size", format!("\"{size}\""));
            splice.set("aspect_ratio", "null".to_owned());
        }
    }

    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>> {
        let answer: Answer<'a> = serde_json::from_str(text).ok()?;
        if answer.data.is_none() && answer.error.is_none() {
            return None;
        }
        let made = |image: &&Image<'_>| image.b64_json.or(image.url).is_some();
        let images = answer.data.iter().flatten().filter(made).count() as u64;
        let usage = answer.usage.and_then(|usage| Reported::read(usage.get()));
        let delivered = Delivered { images, ..Delivered::default() };
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
    fn images_are_counted() {
        let text = r#"{"created":1,"data":[{"b64_json":"AA"},{"url":"https://x"},{"revised_prompt":"y"}]}"#;
        assert_eq!(IMAGES.whole(text).unwrap().delivered.images, 2);
        assert!(IMAGES.whole(r#"{"error":{"message":"no"}}"#).unwrap().error.is_some());
        assert!(IMAGES.whole("{}").is_none() && IMAGES.whole(r#"{"data":7}"#).is_none());
    }
}
