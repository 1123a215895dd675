//! What a provider answers, whole or in a chunk, as far as it matters to us: who answered, what is in it, what it used.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::paid::{Delivered, Said, Stage, length};
use crate::usage::Reported;

/// A whole answer, or one chunk of a stream.
#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    model: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Message<'a>>,
    #[serde(borrow, default)]
    message: Option<Message<'a>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
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
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    transcript: Option<&'a RawValue>,
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

/// A second of sound is 64,000 characters of base64 at 24,000 samples of 16 bits, and about 20 tokens, which are 80 bytes of
/// text.
const CHARACTERS_OF_SOUND_A_BYTE: u64 = 800;

/// Reads a whole answer.
pub(super) fn whole(text: &str) -> Option<Said<'_>> {
    let answer: Answer<'_> = serde_json::from_str(text).ok()?;
    if answer.choices.is_none() && answer.error.is_none() { None } else { Some(said(answer)) }
}

/// Reads a chunk.
pub(super) fn event(text: &str) -> Option<Said<'_>> {
    Some(said(serde_json::from_str(text).ok()?))
}

fn said<'a>(answer: Answer<'a>) -> Said<'a> {
    let mut delivered = Delivered::default();
    let choices = answer.choices.as_deref().unwrap_or_default();
    for message in choices.iter().flat_map(|choice| [&choice.delta, &choice.message]).flatten() {
        add_message(&mut delivered, message);
    }
    let finished = choices.iter().any(|choice| choice.finish_reason.is_some());
    let only_usage = choices.is_empty();
    let usage = answer.usage.and_then(|usage| Reported::read(usage.get()));
    Said {
        id: answer.id,
        model: answer.model,
        delivered,
        usage,
        error: answer.error,
        stage: if finished { Stage::Finished } else { Stage::Running },
        tells_cost: usage.is_some(),
        only_usage,
        ..Said::default()
    }
}

fn add_message(delivered: &mut Delivered, message: &Message<'_>) {
    // The same thoughts are told under one name or the other, never under both.
    let thoughts = message.reasoning.or(message.reasoning_content);
    [message.content, thoughts, message.refusal].into_iter().flatten().for_each(|text| delivered.add_text(text));
    if let Some(calls) = message.tool_calls
        && let Ok(calls) = serde_json::from_str::<Vec<ToolCall<'_>>>(calls.get())
    {
        let functions = calls.iter().flat_map(|call| [&call.function, &call.custom]).flatten();
        functions.for_each(|function| add_call(delivered, function));
    }
    if let Some(call) = message.function_call
        && let Ok(call) = serde_json::from_str::<Function<'_>>(call.get())
    {
        add_call(delivered, &call);
    }
    if let Some(images) = message.images
        && let Ok(images) = serde_json::from_str::<Vec<IgnoredAny>>(images.get())
    {
        delivered.images += images.len() as u64;
    }
    if let Some(audio) = message.audio
        && let Ok(audio) = serde_json::from_str::<Audio<'_>>(audio.get())
    {
        audio.transcript.iter().for_each(|text| delivered.add_text(text));
        delivered.text_bytes += audio.data.map_or(0, |data| length(data).div_ceil(CHARACTERS_OF_SOUND_A_BYTE));
    }
}

fn add_call(delivered: &mut Delivered, call: &Function<'_>) {
    [call.name, call.arguments, call.input].into_iter().flatten().for_each(|text| delivered.add_text(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(json: &str) -> Delivered {
        event(json).unwrap().delivered
    }

    #[test]
    fn everything_that_was_written_counts() {
        let json = r#"{"choices":[{"delta":{"role":"assistant","content":"a\n\u4e2d","reasoning":"bb","tool_calls":
            [{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\":1}"}}],"images":[{},{}]}}]}"#;
        assert_eq!(delivered(json), Delivered { text_bytes: 1 + 1 + 3 + 2 + 1 + 7, images: 2, ..Delivered::default() });
        let json = r#"{"choices":[{"message":{"content":null,"refusal":"no"}},{"message":{"content":"yes"}}]}"#;
        assert_eq!(delivered(json).text_bytes, 5);
    }

    #[test]
    fn sound_counts_as_well() {
        let data = "A".repeat(64_000);
        let json =
            format!(r#"{{"choices":[{{"delta":{{"audio":{{"id":"a","data":"{data}","transcript":"hello"}}}}}}]}}"#);
        assert_eq!(delivered(&json).text_bytes, 5 + 80);
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
