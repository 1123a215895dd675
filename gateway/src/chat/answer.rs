//! What a provider answers, whole or in a chunk, as far as it matters to us: who answered, what is in it, what it used.

use std::borrow::Cow;

use memchr::memchr;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// A whole answer, or one chunk of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(borrow, default)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ToolCall<'a> {
    #[serde(borrow, default)]
    function: Option<Function<'a>>,
    #[serde(borrow, default)]
    custom: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// What was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Delivered {
    /// Text, reasoning and arguments of tool calls, bytes.
    pub(super) text_bytes: u64,
    /// Images.
    pub(super) images: u64,
}

impl Delivered {
    /// Nothing was.
    pub(super) fn nothing(self) -> bool {
        self == Self::default()
    }

    /// Adds what an answer or chunk delivers.
    pub(super) fn add(&mut self, answer: &Answer<'_>) {
        for choice in answer.choices.iter().flatten() {
            for message in [&choice.delta, &choice.message].into_iter().flatten() {
                self.add_message(message);
            }
        }
    }

    fn add_message(&mut self, message: &Message<'_>) {
        // The same thoughts are told under one name or the other, never under both.
        let thoughts = message.reasoning.or(message.reasoning_content);
        for text in [message.content, thoughts, message.refusal].into_iter().flatten() {
            self.text_bytes += length(text);
        }
        if let Some(calls) = message.tool_calls
            && let Ok(calls) = serde_json::from_str::<Vec<ToolCall<'_>>>(calls.get())
        {
            calls
                .iter()
                .for_each(|call| [&call.function, &call.custom].into_iter().flatten().for_each(|f| self.add_call(f)));
        }
        if let Some(call) = message.function_call
            && let Ok(call) = serde_json::from_str::<Function<'_>>(call.get())
        {
            self.add_call(&call);
        }
        if let Some(images) = message.images
            && let Ok(images) = serde_json::from_str::<Vec<IgnoredAny>>(images.get())
        {
            self.images += images.len() as u64;
        }
    }

    fn add_call(&mut self, call: &Function<'_>) {
        for text in [call.name, call.arguments, call.input].into_iter().flatten() {
            self.text_bytes += length(text);
        }
    }
}

/// Bytes of a JSON string's text; of anything else, of its JSON. An escape of a character counts as three bytes, which is
/// what most characters that are escaped have.
fn length(value: &RawValue) -> u64 {
    let json = value.get().as_bytes();
    if json.first() != Some(&b'"') {
        return json.len() as u64;
    }
    let mut rest = &json[1..json.len() - 1];
    let mut length = 0;
    while let Some(at) = memchr(b'\\', rest) {
        let (escape, bytes) = if rest.get(at + 1) == Some(&b'u') { (6, 3) } else { (2, 1) };
        length += at + bytes;
        rest = rest.get(at + escape..).unwrap_or_default();
    }
    (length + rest.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(json: &str) -> Delivered {
        let mut delivered = Delivered::default();
        delivered.add(&serde_json::from_str(json).unwrap());
        delivered
    }

    #[test]
    fn everything_that_was_written_counts() {
        let json = r#"{"choices":[{"delta":{"role":"assistant","content":"a\n\u4e2d","reasoning":"bb","tool_calls":
            [{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\":1}"}}],"images":[{},{}]}}]}"#;
        assert_eq!(delivered(json), Delivered { text_bytes: 1 + 1 + 3 + 2 + 1 + 7, images: 2 });
        let json = r#"{"choices":[{"message":{"content":null,"refusal":"no"}},{"message":{"content":"yes"}}]}"#;
        assert_eq!(delivered(json).text_bytes, 5);
    }

    #[test]
    fn what_says_nothing_delivers_nothing() {
        for json in [r#"{"choices":[]}"#, r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#, "{}"] {
            assert!(delivered(json).nothing(), "{json}");
        }
    }

    #[test]
    fn half_a_character_is_no_error() {
        assert_eq!(delivered(r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#).text_bytes, 3);
    }
}
