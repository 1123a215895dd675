//! The messages of a request: whether they are messages, and what of them the model will read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::turns::Turns;
use crate::error::Invalid;
use crate::fields::{FromObject, UrlForm, check_cache_control, empty, is_empty_array, kind, members};
use crate::paid::Reads;

const ROLES: [&str; 6] = ["system", "assistant", "user", "function", "tool", "developer"];

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_call_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
}

#[derive(serde::Deserialize)]
struct File<'a> {
    #[serde(borrow, default)]
    file_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
}

/// Reads the value of `messages`.
pub(super) fn read(value: &str) -> Result<Reads, Invalid> {
    if !value.starts_with('[') {
        return Err(Invalid::wrong_type("messages", "an array of objects", kind(value)));
    }
    // All at once; which message is wrong is found out only when one is.
    let messages = serde_json::from_str::<Vec<FromObject<Message<'_>>>>(value);
    let Ok(messages) = messages else { return Err(what_is_wrong(value)) };
    if messages.is_empty() {
        return Err(empty("messages"));
    }
    let mut prompt = Prompt(Reads { messages: messages.len() as u64, ..Reads::default() });
    let mut turns = Turns::default();
    for (index, FromObject(message)) in messages.iter().enumerate() {
        prompt.add(index, message)?;
        match message.role.map(RawValue::get) {
            Some("\"tool\"") => turns.result(index, message.tool_call_id)?,
            _ => turns.said(index, message.tool_calls)?,
        }
    }
    turns.end(messages.len())?;
    Ok(prompt.0)
}

struct Prompt(Reads);

impl Prompt {
    fn add(&mut self, index: usize, message: &Message<'_>) -> Result<(), Invalid> {
        let at = |field: &str| format!("messages[{index}].{field}");
        check_role(message.role, || at("role"))?;
        if message.tool_calls.is_some_and(|calls| is_empty_array(calls.get())) {
            return Err(empty(&at("tool_calls")));
        }
        if message.audio.is_some() {
            return Err(Invalid::unsupported(at("audio"), "Audio is not sold."));
        }
        if let Some(control) = message.cache_control {
            check_cache_control(&at("cache_control"), control.get())?;
        }
        let Some(content) = message.content else { return Ok(()) };
        self.0.measure(index, content.get());
        match content.get().as_bytes()[0] {
            b'"' => Ok(()),
            b'[' => {
                let parts: Vec<&RawValue> = serde_json::from_str(content.get()).map_err(|_| Invalid::unparseable())?;
                let mut parts = parts.into_iter().enumerate();
                parts.try_for_each(|(part, value)| self.add_part(&format!("{}[{part}]", at("content")), value.get()))
            }
            _ => {
                let got = kind(content.get());
                Err(Invalid::wrong_type(at("content"), "one of a string or array of objects", got))
            }
        }
    }

    fn add_part(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let part: Part<'_> = members(at, value)?;
        let field = |name: &str| format!("{at}.{name}");
        if let Some(control) = part.cache_control {
            check_cache_control(&field("cache_control"), control.get())?;
        }
        match part.r#type.as_deref() {
            None => Err(Invalid::missing(field("type"))),
            Some("text") => match part.text {
                Some(text) if !text.get().starts_with('"') => {
                    Err(Invalid::wrong_type(field("text"), "a string", kind(text.get())))
                }
                Some(_) => Ok(()),
                None => Err(Invalid::missing(field("text"))),
            },
            Some("refusal") => Ok(()),
            Some("image_url") => {
                let image = part.image_url.ok_or_else(|| Invalid::missing(field("image_url")))?;
                self.add_image(&field("image_url"), image.get())
            }
            Some("file") => {
                let file = part.file.ok_or_else(|| Invalid::missing(field("file")))?;
                self.add_file(&field("file"), file.get())
            }
            Some("input_audio") => Err(Invalid::unsupported(field("type"), "Audio is not sold.")),
            Some(other) => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'text', 'image_url', 'file', and 'refusal'."
                );
                Err(Invalid::new("invalid_value", field("type"), message))
            }
        }
    }

    fn add_image(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let image: ImageUrl<'_> = members(at, value)?;
        let url_at = || format!("{at}.url");
        let url = image.url.ok_or_else(|| Invalid::missing(url_at()))?.get();
        if !url.starts_with('"') {
            return Err(Invalid::wrong_type(url_at(), "a string", kind(url)));
        }
        match UrlForm::of(url) {
            UrlForm::ImageData => self.0.no_text_bytes += url.len() as u64,
            UrlForm::Web => {}
            UrlForm::Other => return Err(UrlForm::refused(&url_at())),
        }
        if image.detail.as_deref() == Some("low") {
            self.0.low_images += 1;
        } else {
            self.0.images += 1;
        }
        Ok(())
    }

    fn add_file(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let file: File<'_> = members(at, value)?;
        if file.file_id.is_some() {
            let why = "What is stored elsewhere cannot be priced. Send the file itself as 'file_data'.";
            return Err(Invalid::unsupported(format!("{at}.file_id"), why));
        }
        if file.file_data.is_none() {
            return Err(Invalid::missing(format!("{at}.file_data")));
        }
        self.0.files += 1;
        Ok(())
    }
}

fn check_role(role: Option<&RawValue>, at: impl Fn() -> String) -> Result<(), Invalid> {
    let Some(role) = role else { return Err(Invalid::missing(at())) };
    let text = role.get();
    let name = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match name {
        None => Err(Invalid::wrong_type(at(), "a string", kind(text))),
        Some(name) if ROLES.contains(&name) => Ok(()),
        Some(name) => {
            let message = format!(
                "Invalid value: '{name}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and \
                 'developer'."
            );
            Err(Invalid::new("invalid_value", at(), message))
        }
    }
}

/// The messages could not be read together; one of them says why.
fn what_is_wrong(value: &str) -> Invalid {
    let Ok(messages) = serde_json::from_str::<Vec<&RawValue>>(value) else { return Invalid::unparseable() };
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        if let Err(wrong) = members::<Message<'_>>(&at, message.get()) {
            return wrong;
        }
    }
    Invalid::unparseable()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(messages: &str) -> (Option<&'static str>, Option<String>) {
        let invalid = read(messages).unwrap_err();
        (invalid.code, invalid.param)
    }

    #[test]
    fn wrong_messages_are_named_as_openai_names_them() {
        for (messages, code, param) in [
            (r#"[]"#, "empty_array", "messages"),
            (r#""hi""#, "invalid_type", "messages"),
            (r#"[7]"#, "invalid_type", "messages[0]"),
            (r#"[["user","hi",null,null]]"#, "invalid_type", "messages[0]"),
            (r#"[{"content":"x"}]"#, "missing_required_parameter", "messages[0].role"),
            (r#"[{"role":"user"},{"role":"bogus"}]"#, "invalid_value", "messages[1].role"),
            (r#"[{"role":7}]"#, "invalid_type", "messages[0].role"),
            (r#"[{"role":"user","content":7}]"#, "invalid_type", "messages[0].content"),
            (r#"[{"role":"user","content":"a","content":"b"}]"#, "invalid_value", "messages[0]"),
            (r#"[{"role":"assistant","tool_calls":[ ]}]"#, "empty_array", "messages[0].tool_calls"),
            (
                r#"[{"role":"system","content":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
                "unsupported_parameter",
                "messages[0].cache_control.ttl",
            ),
            (r#"[{"role":"user","content":[7]}]"#, "invalid_type", "messages[0].content[0]"),
            (r#"[{"role":"user","content":[{}]}]"#, "missing_required_parameter", "messages[0].content[0].type"),
            (r#"[{"role":"user","content":[{"type":"video_url"}]}]"#, "invalid_value", "messages[0].content[0].type"),
            (
                r#"[{"role":"user","content":[{"type":"input_audio"}]}]"#,
                "unsupported_parameter",
                "messages[0].content[0].type",
            ),
            (
                r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#,
                "unsupported_parameter",
                "messages[0].content[0].file.file_id",
            ),
            (
                r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:application/pdf;base64,"}}]}]"#,
                "invalid_value",
                "messages[0].content[0].image_url.url",
            ),
        ] {
            assert_eq!(refused(messages), (Some(code), Some(param.to_owned())), "{messages}");
        }
        let message = read(r#""hi""#).unwrap_err().message;
        assert_eq!(message, "Invalid type for 'messages': expected an array of objects, but got a string instead.");
    }

    #[test]
    fn results_answer_calls() {
        let assistant = r#"{"role":"assistant","tool_calls":[{"id":"a","type":"function"},{"id":"b"}]}"#;
        let result = |id: &str| format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"x"}}"#);
        let user = r#"{"role":"user","content":"hi"}"#;
        let (a, b) = (result("a"), result("b"));
        assert!(read(&format!("[{user},{assistant},{b},{a},{user}]")).is_ok());
        for (messages, param) in [
            (format!("[{user},{a}]"), "messages.[1].role"),
            (format!("[{assistant},{a},{b},{user},{a}]"), "messages.[4].role"),
            (format!("[{assistant},{user}]"), "messages.[1].role"),
            (format!("[{assistant},{a}]"), "messages.[2].role"),
        ] {
            assert_eq!(refused(&messages), (None, Some(param.to_owned())), "{messages}");
        }
    }

    #[test]
    fn a_message_without_content_is_a_message() {
        for messages in [r#"[{"role":"user"}]"#, r#"[{"role":"user","content":null,"name":"x"}]"#] {
            let reads = read(messages).unwrap();
            assert_eq!(Reads { longest: (0, 0), ..reads }, Reads { messages: 1, ..Reads::default() });
        }
    }

    #[test]
    fn image_data_is_no_text() {
        let messages = r#"[{"role":"user","content":[{"type":"text","text":"what?"},
            {"type":"image_url","image_url":{"url":"data:image\/png;base64,AAAA"}},
            {"type":"image_url","image_url":{"url":"https://example.com/a.png","detail":"low"}},
            {"type":"file","file":{"file_data":"data:application/pdf;base64,AA","filename":"a.pdf"}}]}]"#;
        let expected = Reads {
            messages: 1,
            images: 1,
            low_images: 1,
            no_text_bytes: r#""data:image\/png;base64,AAAA""#.len() as u64,
            files: 1,
            ..Reads::default()
        };
        assert_eq!(Reads { longest: (0, 0), ..read(messages).unwrap() }, expected);
    }
}
