//! The messages and the system prompt, as far as their price depends on them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::error::Invalid;
use crate::fields::{UrlForm, array, check_cache_control, empty, kind, members, object, one_of, string};
use crate::paid::Reads;

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Block<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_control: Option<&'a RawValue>,
}

/// Blocks that are text for the model, nothing else: calls, thoughts, and what tools of the provider once found.
const TEXT_BLOCKS: [&str; 8] = [
    "tool_use",
    "thinking",
    "redacted_thinking",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
];

/// Blocks nest in tool results, and tool results not in each other.
const DEEPEST: u8 = 3;

/// Reads the values of `messages` and `system`.
pub(super) fn read(messages: &str, system: Option<&str>) -> Result<Reads, Invalid> {
    let mut prompt = Prompt(Reads::default());
    if let Some(system) = system {
        prompt.0.messages += 1;
        prompt.add_content("system", system, 0)?;
    }
    let messages = array("messages", messages)?;
    if messages.is_empty() {
        return Err(empty("messages"));
    }
    prompt.0.messages += messages.len() as u64;
    for (index, message) in messages.iter().enumerate() {
        prompt.0.measure(index, message.get());
        prompt.add(&format!("messages[{index}]"), message.get())?;
    }
    Ok(prompt.0)
}

struct Prompt(Reads);

impl Prompt {
    fn add(&mut self, at: &str, value: &str) -> Result<(), Invalid> {
        let message: Message<'_> = members(at, value)?;
        let role = message.role.ok_or_else(|| Invalid::missing(format!("{at}.role")))?;
        one_of(&format!("{at}.role"), role.get(), &["user", "assistant", "system"])?;
        let content = message.content.ok_or_else(|| Invalid::missing(format!("{at}.content")))?;
        self.add_content(&format!("{at}.content"), content.get(), 0)
    }

    fn add_content(&mut self, at: &str, value: &str, depth: u8) -> Result<(), Invalid> {
        match value.as_bytes()[0] {
            b'"' => Ok(()),
            b'[' if depth < DEEPEST => {
                let blocks = array(at, value)?;
                let mut blocks = blocks.iter().enumerate();
                blocks.try_for_each(|(index, block)| self.add_block(&format!("{at}[{index}]"), block.get(), depth + 1))
            }
            _ => Err(Invalid::wrong_type(at, "one of a string or array of objects", kind(value))),
        }
    }

    fn add_block(&mut self, at: &str, value: &str, depth: u8) -> Result<(), Invalid> {
        let block: Block<'_> = members(at, value)?;
        let field = |name: &str| format!("{at}.{name}");
        if let Some(control) = block.cache_control {
            check_cache_control(&field("cache_control"), control.get())?;
        }
        match block.r#type.as_deref() {
            None => Err(Invalid::missing(field("type"))),
            Some("text") => match block.text {
                Some(text) if text.get().starts_with('"') => Ok(()),
                Some(text) => Err(Invalid::wrong_type(field("text"), "a string", kind(text.get()))),
                None => Err(Invalid::missing(field("text"))),
            },
            Some("image") => {
                self.0.images += 1;
                let source = block.source.ok_or_else(|| Invalid::missing(field("source")))?;
                self.add_image(&field("source"), source.get())
            }
            Some("document") => {
                let source = block.source.ok_or_else(|| Invalid::missing(field("source")))?;
                self.add_document(&field("source"), source.get(), depth)
            }
            Some("tool_result") => match block.content {
                Some(content) => self.add_content(&field("content"), content.get(), depth),
                None => Ok(()),
            },
            Some(kind) if TEXT_BLOCKS.contains(&kind) => Ok(()),
            Some(_) => Err(Invalid::unsupported(field("type"), "Blocks of this type cannot be priced.")),
        }
    }

    fn add_image(&mut self, at: &str, source: &str) -> Result<(), Invalid> {
        let source = object(at, source)?;
        let field = |name: &str| format!("{at}.{name}");
        match type_of(&source, at)?.as_str() {
            "base64" => {
                let data = source.get("data").ok_or_else(|| Invalid::missing(field("data")))?;
                string_at(&field("data"), data)?;
                self.0.no_text_bytes += data.len() as u64;
                Ok(())
            }
            "url" => {
                let url = source.get("url").ok_or_else(|| Invalid::missing(field("url")))?;
                string_at(&field("url"), url)?;
                if UrlForm::of(url) == UrlForm::Web { Ok(()) } else { Err(UrlForm::refused(&field("url"))) }
            }
            _ => Err(stored(&field("type"))),
        }
    }

    fn add_document(&mut self, at: &str, source: &str, depth: u8) -> Result<(), Invalid> {
        let source = object(at, source)?;
        match type_of(&source, at)?.as_str() {
            // It lies in the body, as text.
            "text" => Ok(()),
            "content" => match source.get("content") {
                Some(content) => self.add_content(&format!("{at}.content"), content, depth),
                None => Err(Invalid::missing(format!("{at}.content"))),
            },
            "base64" | "url" => {
                self.0.files += 1;
                Ok(())
            }
            _ => Err(stored(&format!("{at}.type"))),
        }
    }
}

fn type_of(source: &crate::splice::Object<'_>, at: &str) -> Result<String, Invalid> {
    let at = format!("{at}.type");
    string(&at, source.get("type").ok_or_else(|| Invalid::missing(&*at))?)
}

/// Checks that a value is a string, without reading what may be megabytes.
fn string_at(at: &str, value: &str) -> Result<(), Invalid> {
    if value.starts_with('"') { Ok(()) } else { Err(Invalid::wrong_type(at, "a string", kind(value))) }
}

fn stored(at: &str) -> Invalid {
    Invalid::unsupported(at, "What is stored elsewhere cannot be priced. Send the thing itself.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_cannot_be_priced_are_named() {
        for (content, code, param) in [
            ("7", "invalid_type", "messages[0].content"),
            ("[7]", "invalid_type", "messages[0].content[0]"),
            ("[{}]", "missing_required_parameter", "messages[0].content[0].type"),
            (r#"[{"type":"text"}]"#, "missing_required_parameter", "messages[0].content[0].text"),
            (r#"[{"type":"video"}]"#, "unsupported_parameter", "messages[0].content[0].type"),
            (r#"[{"type":"image"}]"#, "missing_required_parameter", "messages[0].content[0].source"),
            (
                r#"[{"type":"image","source":{"type":"file","file_id":"f"}}]"#,
                "unsupported_parameter",
                "messages[0].content[0].source.type",
            ),
            (
                r#"[{"type":"image","source":{"type":"url","url":"file:///etc/passwd"}}]"#,
                "invalid_value",
                "messages[0].content[0].source.url",
            ),
            (
                r#"[{"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}}]"#,
                "unsupported_parameter",
                "messages[0].content[0].cache_control.ttl",
            ),
            (
                r#"[{"type":"tool_result","content":[{"type":"tool_result","content":[{"type":"tool_result","content":[]}]}]}]"#,
                "invalid_type",
                "messages[0].content[0].content[0].content[0].content",
            ),
        ] {
            let invalid = read(&format!(r#"[{{"role":"user","content":{content}}}]"#), None).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{content}");
        }
        for (messages, code, param) in [
            ("\"x\"", "invalid_type", "messages"),
            ("[]", "empty_array", "messages"),
            (r#"[{"role":"bogus","content":"x"}]"#, "invalid_value", "messages[0].role"),
            (r#"[{"role":"user"}]"#, "missing_required_parameter", "messages[0].content"),
            (r#"[{"content":"x"}]"#, "missing_required_parameter", "messages[0].role"),
        ] {
            let invalid = read(messages, None).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{messages}");
        }
    }

    #[test]
    fn what_the_model_reads_is_counted() {
        let messages = r#"[{"role":"user","content":[{"type":"text","text":"what?","cache_control":{"type":"ephemeral"}},
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
                {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}},
                {"type":"document","source":{"type":"text","media_type":"text/plain","data":"hello"}}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"x"},{"type":"tool_use","id":"t","name":"f","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[
                {"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]}]"#;
        let expected =
            Reads { messages: 4, images: 2, files: 1, no_text_bytes: r#""AAAA""#.len() as u64, ..Reads::default() };
        let reads = read(messages, Some(r#"[{"type":"text","text":"be kind"}]"#)).unwrap();
        assert_eq!(Reads { longest: (0, 0), ..reads }, expected);
    }
}
