//! Vectors as text. SDKs ask for them in base64 and some of them make empty ones of numbers without a word, so where a
//! provider ignores the wish, we grant it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::splice::{Object, Splice};

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
}

/// The answer with each vector as little-endian numbers of four bytes in base64; `None` if they are so already.
pub(super) fn in_base64(answer: &str) -> Option<String> {
    let parsed: Answer<'_> = serde_json::from_str(answer).ok()?;
    let mut changed = false;
    let mut data = Vec::with_capacity(parsed.data.len());
    for item in parsed.data {
        let written = with_text(item.get());
        changed |= written.is_some();
        data.push(written.unwrap_or_else(|| item.get().to_owned()));
    }
    if !changed {
        return None;
    }
    let object = Object::parse(answer).ok()?;
    let mut splice = Splice::new(&object);
    splice.set("data", format!("[{}]", data.join(",")));
    splice.finish()
}

fn with_text(item: &str) -> Option<String> {
    let item = Object::parse(item).ok()?;
    let numbers: Vec<f32> = serde_json::from_str(item.get("embedding").filter(|value| value.starts_with('['))?).ok()?;
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut splice = Splice::new(&item);
    splice.set("embedding", format!("\"{}\"", STANDARD.encode(bytes)));
    splice.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_text_and_text_stays() {
        let answer =
            r#"{"data":[{"index":0, "embedding":[1.0,-1,0.5]},{"index":1,"embedding":"AACAPw=="}],"usage":{}}"#;
        let expected =
            r#"{"data":[{"index":0, "embedding":"AACAPwAAgL8AAAA/"},{"index":1,"embedding":"AACAPw=="}],"usage":{}}"#;
        assert_eq!(in_base64(answer).unwrap(), expected);
        assert_eq!(in_base64(expected), None);
        for odd in ["", "{}", r#"{"data":[7]}"#, r#"{"data":[{"embedding":["x"]}]}"#] {
            assert_eq!(in_base64(odd), None, "{odd}");
        }
    }
}
