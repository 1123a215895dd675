//! The text of a body, before it is read: how deep it nests, and whether its strings are text. One pass, and fast over what is
//! inside of strings, where most of a body is.

use memchr::memchr2;

use crate::error::Invalid;

/// Deeper than any schema of a tool that a person or a program writes; whatever reads deeper may run out of stack.
const DEEPEST: u32 = 256;

/// Refuses bodies that nest too deep, and strings with half of a pair of surrogates, which are no text.
pub(crate) fn check(text: &str) -> Result<(), Invalid> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_u32, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = string_end(bytes, at + 1)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    let message = format!("The JSON body of your request nests more than {DEEPEST} levels deep.");
                    return Err(Invalid { code: Some("nesting_too_deep"), param: None, message });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Behind the quote that ends a string; the end of the text if none does, which is for the parser to say.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, Invalid> {
    while let Some(found) = memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes[at] == b'"' {
            return Ok(at + 1);
        }
        at += match unit(bytes, at) {
            Some(0xD800..=0xDBFF) if matches!(unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                let message = "The JSON body of your request has half of a surrogate pair in a string: it is no text.";
                return Err(Invalid { code: Some("invalid_unicode"), param: None, message: message.into() });
            }
            Some(_) => 6,
            None => 2,
        };
    }
    Ok(bytes.len())
}

/// The UTF-16 unit that is escaped here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn depth_has_a_limit_and_strings_have_none() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&nested(256)).is_ok());
        assert_eq!(check(&nested(257)).unwrap_err().code, Some("nesting_too_deep"));
        assert!(check(&format!(r#"{{"a":"{}"}}"#, "[".repeat(1_000))).is_ok());
        assert!(check(&format!("[{}]", nested(2).repeat(1_000))).is_ok(), "side by side is not deep");
    }

    #[test]
    fn half_a_pair_is_no_text() {
        for good in [r#""\ud83d\ude00""#, r#""\\ud800""#, r#""é\u00e9\n\"""#, r#"{"a":"\u0000"}"#] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [r#""\ud800""#, r#""\udc00""#, r#""\ud83d\ud83d\ude00""#, r#""\ud83dx""#] {
            assert_eq!(check(bad).unwrap_err().code, Some("invalid_unicode"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_json_with_text_passes(text in ".{0,40}", more in prop::collection::vec(".{0,8}", 0..4)) {
            let value = serde_json::json!({ text: more });
            prop_assert!(check(&value.to_string()).is_ok());
        }

        #[test]
        fn no_text_is_too_odd(text in "[\\[\\]{}\"\\\\ud8c0 x]{0,60}") {
            let _ = check(&text);
        }
    }
}
