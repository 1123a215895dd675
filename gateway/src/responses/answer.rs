//! What a provider answers, whole; and what its items deliver.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::paid::{Delivered, Said};
use crate::usage::Reported;

/// A response, whole or as far as it has come.
#[derive(Debug, Deserialize)]
pub(super) struct Response<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    output: Option<Vec<Item<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

/// One item of the output: a message, a call, a thought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
}

/// Reads a whole answer.
pub(super) fn whole(text: &str) -> Option<Said<'_>> {
    let mut response: Response<'_> = serde_json::from_str(text).ok()?;
    let failed = response.status.as_deref() == Some("failed");
    if response.output.is_none() && response.error.is_none() && !failed {
        return None;
    }
    let mut said = said(&mut response);
    said.error = response.error;
    Some(said)
}

/// What a response says, but for its error.
pub(super) fn said<'a>(response: &mut Response<'a>) -> Said<'a> {
    let mut delivered = Delivered::default();
    response.output.iter().flatten().for_each(|item| item.add_to(&mut delivered));
    Said { id: response.id.take(), model: response.model.take(), delivered, usage: response.usage(), ..Said::default() }
}

impl Response<'_> {
    /// What it says of the usage.
    pub(super) fn usage(&self) -> Option<Reported> {
        self.usage.and_then(|usage| Reported::read(usage.get()))
    }
}

impl Item<'_> {
    /// Adds what an item that is whole delivers.
    pub(super) fn add_to(&self, delivered: &mut Delivered) {
        for part in self.content.iter().chain(&self.summary).flatten() {
            [part.text, part.refusal].into_iter().flatten().for_each(|text| delivered.add_whole(text));
        }
        [self.name, self.arguments, self.input].into_iter().flatten().for_each(|text| delivered.add_whole(text));
        if self.r#type.as_deref() == Some("image_generation_call") && self.result.is_some() {
            delivered.images += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"id":"resp_1","object":"response","status":"completed","model":"m-1","error":null,
        "output":[{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm"}]},
            {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"four"}]},
            {"type":"function_call","name":"f","arguments":"{}"}],
        "usage":{"input_tokens":5,"output_tokens":7,"output_tokens_details":{"reasoning_tokens":2}}}"#;

    #[test]
    fn a_whole_answer_is_read() {
        let said = whole(WHOLE).unwrap();
        assert_eq!((said.id.as_deref(), said.model.as_deref()), (Some("resp_1"), Some("m-1")));
        assert_eq!(said.delivered.text(), 2 + 4 + 1 + 2);
        assert_eq!(said.usage.unwrap().usage().reasoning_tokens, 2);
        assert!(said.error.is_none());
    }

    #[test]
    fn what_is_no_answer_is_none_and_what_failed_is_an_error() {
        assert!(whole("{}").is_none() && whole("[]").is_none() && whole(r#"{"choices":[]}"#).is_none());
        let failed = r#"{"status":"failed","output":[],"error":{"code":"server_error","message":"no"}}"#;
        assert!(whole(failed).unwrap().error.is_some());
    }
}
