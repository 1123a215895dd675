//! The events of a streamed response. Each names its type; the last one carries the response with its usage.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{Item, Response, said};
use crate::paid::{Said, Stage};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Reads the data of one event.
pub(super) fn event(text: &str) -> Option<Said<'_>> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    if let Some(error) = event.error {
        return Some(Said { error: Some(error), ..Said::default() });
    }
    match event.r#type.as_deref()? {
        // The documented event is flat: it is the error itself.
        "error" => Some(Said { error: Some(raw), ..Said::default() }),
        "response.completed" | "response.incomplete" => last(event.response?),
        "response.failed" => {
            let mut response: Response<'_> = serde_json::from_str(event.response?.get()).ok()?;
            let error = response.error.unwrap_or(raw);
            Some(Said { error: Some(error), repeats: true, ..said(&mut response) })
        }
        "response.created" | "response.in_progress" | "response.queued" => {
            let mut response: Response<'_> = serde_json::from_str(event.response?.get()).ok()?;
            Some(Said { id: response.id.take(), model: response.model.take(), ..Said::default() })
        }
        "response.output_item.done" => {
            let mut said = Said::default();
            let item: Item<'_> = event.item.and_then(|item| serde_json::from_str(item.get()).ok()).unwrap_or_default();
            item.add_to(&mut said.delivered);
            Some(said)
        }
        name if name.ends_with(".delta") => {
            let mut said = Said::default();
            event.delta.iter().for_each(|delta| said.delivered.add_text(delta));
            Some(said)
        }
        // What else there is announces, ends or repeats.
        _ => Some(Said::default()),
    }
}

fn last(response: &RawValue) -> Option<Said<'_>> {
    let mut response: Response<'_> = serde_json::from_str(response.get()).ok()?;
    // Its output was delivered item by item.
    Some(Said { stage: Stage::Over, tells_cost: true, repeats: true, ..said(&mut response) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_counts_once_however_it_is_told() {
        let mut delivered = crate::paid::Delivered::default();
        for text in [
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            r#"{"type":"response.output_text.delta","delta":"fo"}"#,
            r#"{"type":"response.output_text.delta","delta":"ur"}"#,
            r#"{"type":"response.output_text.done","text":"four"}"#,
            r#"{"type":"response.output_item.done","item":{"type":"message","content":[{"text":"four"}]}}"#,
        ] {
            delivered.add(event(text).unwrap().delivered);
        }
        assert_eq!(delivered.text(), 4);
    }

    #[test]
    fn the_last_event_tells_the_usage() {
        let text = r#"{"type":"response.completed","response":{"id":"r","output":[],"usage":{"input_tokens":3,"output_tokens":1}}}"#;
        let said = event(text).unwrap();
        assert_eq!((said.stage, said.tells_cost), (Stage::Over, true));
        assert_eq!(said.usage.unwrap().usage().input_tokens, 3);
    }

    #[test]
    fn each_form_of_an_error_is_one() {
        for (text, message) in [
            (r#"{"type":"error","code":"x","message":"no","param":null}"#, "no"),
            (r#"{"type":"error","error":{"type":"x","message":"no"}}"#, "no"),
            (r#"{"error":{"message":"no"}}"#, "no"),
            (r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"no"}}}"#, "no"),
        ] {
            let error = event(text).unwrap().error.unwrap();
            assert!(error.get().contains(message), "{text}");
        }
        assert!(event("{}").is_none() && event("7").is_none());
    }
}
