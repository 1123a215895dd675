//! The parts of a chat request that the simulator looks at; everything else is skipped unread.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::asked::{Asked, IMAGE_BYTES, tokens};

/// Reads a body.
///
/// # Errors
/// When it is no chat request.
pub(super) fn read(body: &[u8]) -> Result<Asked, serde_json::Error> {
    let request: Request<'_> = serde_json::from_slice(body)?;
    let tools = request.tools.iter().flatten().filter_map(|tool| tool.function.as_ref());
    Ok(Asked {
        model: request.model.to_string(),
        told: request.last_user_text().to_owned(),
        prompt_tokens: request.prompt_tokens(),
        n: request.n.unwrap_or(1).max(1),
        limit: request.output_limit(),
        stream: request.stream.unwrap_or(false),
        include_usage: request.stream_options.as_ref().and_then(|o| o.include_usage).unwrap_or(false),
        tool: tools.map(|function| function.name.to_string()).next(),
        ..Asked::default()
    })
}

/// A chat request.
#[derive(Debug, Deserialize)]
struct Request<'a> {
    /// Asked model.
    #[serde(borrow)]
    model: Cow<'a, str>,
    /// The conversation.
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    /// Output limit of one choice, old name.
    max_tokens: Option<u64>,
    /// Output limit of one choice.
    max_completion_tokens: Option<u64>,
    /// Number of choices.
    n: Option<u64>,
    /// Whether the answer is streamed.
    stream: Option<bool>,
    /// Whether a stream carries a usage chunk.
    stream_options: Option<StreamOptions>,
    /// Tools that may be called.
    #[serde(borrow)]
    tools: Option<Vec<Tool<'a>>>,
}

/// `stream_options`.
#[derive(Debug, Deserialize)]
struct StreamOptions {
    /// Asks for the usage chunk.
    include_usage: Option<bool>,
}

/// A tool; only functions have a name.
#[derive(Debug, Deserialize)]
struct Tool<'a> {
    /// The function.
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

/// A function that may be called.
#[derive(Debug, Deserialize)]
struct Function<'a> {
    /// Its name.
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// One message.
#[derive(Debug, Deserialize)]
struct Message<'a> {
    /// Who speaks.
    #[serde(borrow)]
    role: Cow<'a, str>,
    /// What is said.
    #[serde(borrow, default)]
    content: Content<'a>,
}

/// A text, or parts of which the last text is kept.
#[derive(Debug, Default)]
struct Content<'a> {
    /// The text, or the last text part.
    text: Cow<'a, str>,
    /// Bytes of everything that would be tokens: texts, and addresses of images up to the tokens of a small image.
    bytes: usize,
}

impl Request<'_> {
    /// The most tokens that one choice may have.
    fn output_limit(&self) -> Option<u64> {
        match (self.max_completion_tokens, self.max_tokens) {
            (Some(new), Some(old)) => Some(new.min(old)),
            (new, old) => new.or(old),
        }
    }

    /// Text of the last message of the user.
    fn last_user_text(&self) -> &str {
        self.messages.iter().rev().find(|message| message.role == "user").map_or("", |message| &message.content.text)
    }

    /// About the tokens of the prompt, never more than its bytes.
    fn prompt_tokens(&self) -> u64 {
        let bytes: usize = self.messages.iter().map(|message| message.content.bytes).sum();
        tokens(bytes)
    }
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    image_url: Option<ImageUrl<'a>>,
}

#[derive(Deserialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ContentVisitor;

        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, an array of parts, or null")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content { bytes: text.len(), text: Cow::Borrowed(text) })
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content { bytes: text.len(), text: Cow::Owned(text.to_owned()) })
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Content::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
                let mut content = Content::default();
                while let Some(part) = parts.next_element::<Part<'de>>()? {
                    if let Some(text) = part.text {
                        content.bytes += text.len();
                        content.text = text;
                    }
                    content.bytes += part.image_url.map_or(0, |image| image.url.len().min(IMAGE_BYTES));
                }
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(content)
            }
        }

        deserializer.deserialize_any(ContentVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_text_part_of_the_last_user_message_is_found() -> Result<(), serde_json::Error> {
        let body = r#"{"model":"m","temperature":1,"messages":[{"role":"user","content":"one"},
            {"role":"user","content":[{"type":"text","text":"a\n"},{"type":"image_url","image_url":{"url":"data:x"}},
            {"type":"text","text":"two"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"x"}]}]}"#;
        let request: Request<'_> = serde_json::from_str(body)?;
        assert_eq!(request.last_user_text(), "two");
        assert_eq!(request.prompt_tokens(), u64::try_from("onea\ndata:xtwo".len().div_ceil(4)).unwrap_or_default());
        Ok(())
    }

    #[test]
    fn the_smaller_limit_counts() -> Result<(), serde_json::Error> {
        let limit = |fields: &str| -> Result<_, serde_json::Error> {
            let body = format!(r#"{{"model":"m","messages":[]{fields}}}"#);
            Ok(serde_json::from_str::<Request<'_>>(&body)?.output_limit())
        };
        assert_eq!(limit("")?, None);
        assert_eq!(limit(r#","max_tokens":5"#)?, Some(5));
        assert_eq!(limit(r#","max_tokens":5,"max_completion_tokens":3"#)?, Some(3));
        Ok(())
    }
}
