//! Reads single values out of their JSON text, and says what is wrong with them in OpenAI's words.

use crate::error::Invalid;

/// What a JSON text is, in the words of OpenAI's messages.
pub(super) fn kind(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if value.contains(['.', 'e', 'E']) => "a decimal number",
        _ => "an integer",
    }
}

/// True or false.
pub(super) fn boolean(param: &str, value: &str) -> Result<bool, Invalid> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::wrong_type(param, "a boolean", kind(value))),
    }
}

/// A whole number within limits.
pub(super) fn integer(param: &str, value: &str, min: u64, max: u64) -> Result<u64, Invalid> {
    if kind(value) != "an integer" {
        return Err(Invalid::wrong_type(param, "an integer", kind(value)));
    }
    let out_of_range = |code, relation, limit: u64| {
        let message = format!(
            "Invalid '{param}': integer out of range. Expected a value {relation} {limit}, but got {value} instead."
        );
        Invalid::new(code, param, message)
    };
    match value.parse::<u64>() {
        Ok(number) if number > max => Err(out_of_range("integer_above_max_value", "<=", max)),
        Ok(number) if number >= min => Ok(number),
        // Too many digits for a number: above every limit, unless it is negative.
        Err(_) if !value.starts_with('-') => Err(out_of_range("integer_above_max_value", "<=", max)),
        _ => Err(out_of_range("integer_below_min_value", ">=", min)),
    }
}

/// A text.
pub(super) fn string(param: &str, value: &str) -> Result<String, Invalid> {
    if !value.starts_with('"') {
        return Err(Invalid::wrong_type(param, "a string", kind(value)));
    }
    // A lone surrogate is JSON, but no text.
    serde_json::from_str(value).map_err(|_| Invalid::unparseable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_out_of_range_are_named_as_openai_names_them() {
        assert_eq!(integer("n", "2", 1, 128), Ok(2));
        for (value, code) in [
            ("0", "integer_below_min_value"),
            ("-1", "integer_below_min_value"),
            ("-99999999999999999999999", "integer_below_min_value"),
            ("129", "integer_above_max_value"),
            ("99999999999999999999999", "integer_above_max_value"),
            ("\"2\"", "invalid_type"),
            ("1.5", "invalid_type"),
            ("1e2", "invalid_type"),
            ("[]", "invalid_type"),
        ] {
            let invalid = integer("n", value, 1, 128).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some("n")), "{value}");
        }
        assert!(integer("n", "\"2\"", 1, 9).unwrap_err().message.contains("expected an integer, but got a string"));
    }
}
