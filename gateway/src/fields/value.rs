//! Reads single values out of their JSON text, and says what is wrong with them in OpenAI's words.

use crate::error::Invalid;

/// No model writes so much; what is above it is a slip, and cannot be priced either.
pub(crate) const MOST_TOKENS: u64 = i32::MAX as u64;

/// What a JSON text is, in the words of OpenAI's messages.
pub(crate) fn kind(value: &str) -> &'static str {
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
pub(crate) fn boolean(param: &str, value: &str) -> Result<bool, Invalid> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Invalid::wrong_type(param, "a boolean", kind(value))),
    }
}

/// A whole number within limits.
pub(crate) fn integer(param: &str, value: &str, min: u64, max: u64) -> Result<u64, Invalid> {
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

/// A number within limits.
pub(crate) fn decimal(param: &str, value: &str, min: i32, max: i32) -> Result<(), Invalid> {
    let number = value.parse::<f64>().ok().filter(|_| matches!(kind(value), "an integer" | "a decimal number"));
    let Some(number) = number else { return Err(Invalid::wrong_type(param, "a decimal", kind(value))) };
    let out_of_range = |code, relation, limit: i32| {
        const SHOWN: usize = 50;
        let shown: String = value.chars().take(SHOWN).collect();
        let message = format!(
            "Invalid '{param}': decimal out of range. Expected a value {relation} {limit}, but got {shown} instead."
        );
        Err(Invalid::new(code, param, message))
    };
    if number > f64::from(max) {
        return out_of_range("decimal_above_max_value", "<=", max);
    }
    if number < f64::from(min) {
        return out_of_range("decimal_below_min_value", ">=", min);
    }
    Ok(())
}

/// One of a few texts.
pub(crate) fn one_of(param: &str, value: &str, supported: &[&str]) -> Result<(), Invalid> {
    let text = string(param, value)?;
    if supported.contains(&text.as_str()) {
        return Ok(());
    }
    const SHOWN: usize = 100;
    let shown: String = text.chars().take(SHOWN).collect();
    let message = format!("Invalid value: '{shown}'. Supported values are: {}.", listed(supported));
    Err(Invalid::new("invalid_value", param, message))
}

/// `'a', 'b', and 'c'`.
fn listed(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    match &quoted[..] {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

/// A text.
pub(crate) fn string(param: &str, value: &str) -> Result<String, Invalid> {
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
