//! The input of a response: a text, or items, as far as their price depends on them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::error::Invalid;
use crate::fields::{UrlForm, array, empty, kind, members};
use crate::paid::Reads;

/// Why an item that lies elsewhere is not taken.
const STORED: &str = "What is stored elsewhere cannot be priced. Send the thing itself.";

#[derive(serde::Deserialize)]
struct Item<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    file_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
}

/// Items of calls to tools that the client runs, and of what the model thought: text for the model, nothing else.
const TEXT_ITEMS: [&str; 8] = [
    "function_call",
    "custom_tool_call",
    "reasoning",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "apply_patch_call",
    "apply_patch_call_output",
];

/// Reads the value of `input`.
pub(super) fn read(value: &str) -> Result<Reads, Invalid> {
    if value.starts_with('"') {
        let mut reads = Reads { messages: 1, ..Reads::default() };
        reads.measure(0, value);
        return Ok(reads);
    }
    if !value.starts_with('[') {
        return Err(Invalid::wrong_type("input", "one of a string or array of input items", kind(value)));
    }
    let items = array("input", value)?;
    if items.is_empty() {
        return Err(empty("input"));
    }
    let mut input = Input(Reads { messages: items.len() as u64, ..Reads::default() });
    for (index, item) in items.iter().enumerate() {
        input.0.measure(index, item.get());
        input.add(&format!("input[{index}]"), item.get())?;
    }
    Ok(input.0)
}

struct Input(Reads);

impl Input {
    fn add(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let item: Item<'_> = members(at, value)?;
        match item.r#type.as_deref() {
            None | Some("message") => {
                check_role(item.role, at)?;
                let content = item.content.ok_or_else(|| Invalid::missing(format!("{at}.content")))?;
                self.add_content(&format!("{at}.content"), content.get())
            }
            Some("function_call_output" | "custom_tool_call_output" | "computer_call_output") => {
                let output = item.output.ok_or_else(|| Invalid::missing(format!("{at}.output")))?;
                self.add_content(&format!("{at}.output"), output.get())
            }
            Some(kind) if TEXT_ITEMS.contains(&kind) => Ok(()),
            Some("item_reference") => Err(Invalid::unsupported(format!("{at}.type"), STORED)),
            Some(other) => {
                const SHOWN: usize = 100;
                let shown: String = other.chars().take(SHOWN).collect();
                let why = format!("Items of type '{shown}' cannot be priced.");
                Err(Invalid::unsupported(format!("{at}.type"), &why))
            }
        }
    }

    /// A text, a part, or parts.
    fn add_content(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        match value.as_bytes()[0] {
            b'"' => Ok(()),
            b'{' => self.add_part(at, value),
            b'[' => {
                let parts = array(at, value)?;
                let mut parts = parts.iter().enumerate();
                parts.try_for_each(|(index, part)| self.add_part(&format!("{at}[{index}]"), part.get()))
            }
            _ => Err(Invalid::wrong_type(at, "one of a string or array of objects", kind(value))),
        }
    }

    fn add_part(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let part: Part<'_> = members(at, value)?;
        let field = |name: &str| format!("{at}.{name}");
        if part.file_id.is_some() {
            return Err(Invalid::unsupported(field("file_id"), STORED));
        }
        match part.r#type.as_deref() {
            None => Err(Invalid::missing(field("type"))),
            Some("input_text" | "output_text" | "refusal" | "text" | "summary_text" | "reasoning_text") => Ok(()),
            Some("input_image" | "computer_screenshot") => {
                let url = part.image_url.ok_or_else(|| Invalid::missing(field("image_url")))?.get();
                self.add_image(&field("image_url"), url, part.detail.as_deref() == Some("low"))
            }
            Some("input_file") if part.file_data.is_some() || part.file_url.is_some() => {
                self.0.files += 1;
                Ok(())
            }
            Some("input_file") => Err(Invalid::missing(field("file_data"))),
            Some("input_audio") => Err(Invalid::unsupported(field("type"), "Audio is not sold.")),
            Some(_) => {
                let message = "Invalid value. Supported values are: 'input_text', 'input_image', 'input_file', \
                               'output_text', and 'refusal'.";
                Err(Invalid::new("invalid_value", field("type"), message))
            }
        }
    }

    fn add_image(&mut self, at: &str, url: &str, low: bool) -> Result<(), Invalid> {
        if !url.starts_with('"') {
            return Err(Invalid::wrong_type(at, "a string", kind(url)));
        }
        match UrlForm::of(url) {
            UrlForm::ImageData => self.0.no_text_bytes += url.len() as u64,
            UrlForm::Web => {}
            UrlForm::Other => return Err(UrlForm::refused(at)),
        }
        if low {
            self.0.low_images += 1;
        } else {
            self.0.images += 1;
        }
        Ok(())
    }
}

fn check_role(role: Option<&RawValue>, at: &str) -> Result<(), Invalid> {
    let at = format!("{at}.role");
    let Some(role) = role else { return Err(Invalid::missing(at)) };
    crate::fields::one_of(&at, role.get(), &["assistant", "system", "developer", "user"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_that_cannot_be_priced_are_named() {
        for (input, code, param) in [
            ("7", "invalid_type", "input"),
            ("[]", "empty_array", "input"),
            ("[7]", "invalid_type", "input[0]"),
            (r#"[{"role":"bogus","content":"x"}]"#, "invalid_value", "input[0].role"),
            (r#"[{"content":"x"}]"#, "missing_required_parameter", "input[0].role"),
            (r#"[{"role":"user"}]"#, "missing_required_parameter", "input[0].content"),
            (r#"[{"role":"user","content":7}]"#, "invalid_type", "input[0].content"),
            (r#"[{"role":"user","content":[{}]}]"#, "missing_required_parameter", "input[0].content[0].type"),
            (
                r#"[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]"#,
                "unsupported_parameter",
                "input[0].content[0].file_id",
            ),
            (r#"[{"role":"user","content":[{"type":"x"}]}]"#, "invalid_value", "input[0].content[0].type"),
            (r#"[{"type":"item_reference","id":"i"}]"#, "unsupported_parameter", "input[0].type"),
            (r#"[{"type":"web_search_call","id":"i"}]"#, "unsupported_parameter", "input[0].type"),
            (r#"[{"type":"function_call_output"}]"#, "missing_required_parameter", "input[0].output"),
        ] {
            let invalid = read(input).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{input}");
        }
    }

    #[test]
    fn what_the_model_reads_is_counted() {
        let image = r#""data:image/png;base64,AAAA""#;
        let input = format!(
            r#"[{{"role":"user","content":[{{"type":"input_text","text":"what?"}},
                {{"type":"input_image","image_url":{image},"detail":"auto"}},
                {{"type":"input_image","image_url":"https://example.com/a.png","detail":"low"}},
                {{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AA"}}]}},
              {{"type":"reasoning","id":"r","summary":[],"encrypted_content":"x"}},
              {{"type":"function_call","call_id":"c","name":"f","arguments":"{{}}"}},
              {{"type":"function_call_output","call_id":"c","output":[{{"type":"input_image","image_url":{image}}}]}}]"#
        );
        let expected = Reads {
            messages: 4,
            images: 2,
            low_images: 1,
            files: 1,
            no_text_bytes: 2 * image.len() as u64,
            ..Reads::default()
        };
        assert_eq!(Reads { longest: (0, 0), ..read(&input).unwrap() }, expected);
        assert_eq!(read(r#""hi""#).unwrap().messages, 1);
    }
}
