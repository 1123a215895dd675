//! The input: a text, texts, tokens, or arrays of tokens.

use serde_json::value::RawValue;

use crate::error::Invalid;
use crate::paid::Reads;

/// OpenAI's limit for texts in one request.
const MOST_TEXTS: usize = 2_048;

/// Reads the value of `input`.
pub(super) fn read(value: &str) -> Result<Reads, Invalid> {
    let mut reads = Reads::default();
    match value.as_bytes().first() {
        Some(b'"') => add(&mut reads, value)?,
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| Invalid::unparseable())?;
            let Some(first) = items.first() else { return Err(invalid()) };
            if is_token(first.get()) {
                add(&mut reads, value)?;
            } else if items.len() > MOST_TEXTS {
                let message = format!(
                    "Invalid 'input': array too long. Expected at most {MOST_TEXTS} elements, but got {}.",
                    items.len()
                );
                return Err(Invalid::new("array_above_max_length", "input", message));
            } else {
                let same = |item: &&RawValue| item.get().as_bytes()[0] == first.get().as_bytes()[0];
                if !items.iter().all(same) {
                    return Err(invalid());
                }
                items.iter().try_for_each(|item| add(&mut reads, item.get()))?;
            }
        }
        _ => return Err(invalid()),
    }
    Ok(reads)
}

/// Adds one text, or the tokens of one.
fn add(reads: &mut Reads, value: &str) -> Result<(), Invalid> {
    reads.messages += 1;
    match value.as_bytes()[0] {
        b'"' if value.len() > 2 => Ok(()),
        b'[' => {
            let tokens: Vec<u32> = serde_json::from_str(value).map_err(|_| invalid())?;
            if tokens.is_empty() {
                return Err(invalid());
            }
            reads.tokens += tokens.len() as u64;
            reads.no_text_bytes += value.len() as u64;
            Ok(())
        }
        _ => Err(invalid()),
    }
}

fn is_token(value: &str) -> bool {
    value.bytes().all(|byte| byte.is_ascii_digit())
}

/// OpenAI says no more than this of whatever is wrong with an input.
fn invalid() -> Invalid {
    let message = "'$.input' is invalid. Please check the API reference: \
                   https://platform.openai.com/docs/api-reference.";
    Invalid { code: None, param: None, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_tokens_are_counted() {
        for (input, messages, tokens) in
            [(r#""hello""#, 1, 0), (r#"["a","b"]"#, 2, 0), ("[1,2,3]", 1, 3), ("[[1,2,3],[4]]", 2, 4)]
        {
            let reads = read(input).unwrap();
            assert_eq!((reads.messages, reads.tokens), (messages, tokens), "{input}");
        }
        assert_eq!(read("[[1,2],[3]]").unwrap().no_text_bytes, 8);
    }

    #[test]
    fn what_is_no_input_is_refused_in_openais_words() {
        for input in [
            r#""""#,
            "[]",
            r#"["a",""]"#,
            "[[]]",
            "[[1],[]]",
            "[-1]",
            "[1.5]",
            r#"["a",1]"#,
            r#"[1,"a"]"#,
            "7",
            "{}",
            "[null]",
            "[true]",
            "[[1,\"a\"]]",
        ] {
            let invalid = read(input).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (None, None), "{input}");
            assert!(invalid.message.starts_with("'$.input' is invalid."), "{input}");
        }
        let many = format!("[{}]", vec!["\"a\""; 2_049].join(","));
        assert_eq!(read(&many).unwrap_err().code, Some("array_above_max_length"));
    }
}
