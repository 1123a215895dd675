//! The members of a chat completion that change neither its price nor its model: checked as OpenAI checks them, so that what
//! is wrong is said at once and by name. What only some models take is left to their provider.

use crate::error::Invalid;
use crate::fields::{boolean, decimal, integer, kind, object, one_of, string};
use crate::splice::Object;

/// Checks them in OpenAI's order.
pub(super) fn check(body: &Object<'_>, messages: &str) -> Result<(), Invalid> {
    for (param, min, max) in
        [("temperature", 0, 2), ("top_p", 0, 1), ("frequency_penalty", -2, 2), ("presence_penalty", -2, 2)]
    {
        body.get(param).map_or(Ok(()), |value| decimal(param, value, min, max))?;
    }
    check_logprobs(body)?;
    check_response_format(body, messages)?;
    check_metadata(body)?;
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];
    for (param, supported, code) in [
        ("reasoning_effort", &efforts[..], "unsupported_value"),
        ("verbosity", &["low", "medium", "high"], "invalid_value"),
    ] {
        let wrong = |invalid: Invalid| Invalid {
            code: invalid.code.map(|known| if known == "invalid_value" { code } else { known }),
            ..invalid
        };
        body.get(param).map_or(Ok(()), |value| one_of(param, value, supported)).map_err(wrong)?;
    }
    check_tool_choice(body)
}

fn check_logprobs(body: &Object<'_>) -> Result<(), Invalid> {
    let wanted = body.get("logprobs").map_or(Ok(false), |value| boolean("logprobs", value))?;
    let Some(top) = body.get("top_logprobs") else { return Ok(()) };
    integer("top_logprobs", top, 0, 20)?;
    if wanted {
        return Ok(());
    }
    let message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.";
    Err(Invalid { code: None, param: Some("top_logprobs".into()), message: message.into() })
}

fn check_response_format(body: &Object<'_>, messages: &str) -> Result<(), Invalid> {
    let Some(format) = body.get("response_format") else { return Ok(()) };
    let format = object("response_format", format)?;
    let r#type = format.get("type").ok_or_else(|| Invalid::missing("response_format.type"))?;
    one_of("response_format.type", r#type, &["json_object", "json_schema", "text"])?;
    match string("response_format.type", r#type)?.as_str() {
        "json_schema" => {
            let at = "response_format.json_schema";
            let schema = object(at, format.get("json_schema").ok_or_else(|| Invalid::missing(at))?)?;
            let name = schema.get("name").ok_or_else(|| Invalid::missing(format!("{at}.name")))?;
            string(&format!("{at}.name"), name).map(drop)
        }
        "json_object" if !says_json(messages) => {
            let message = "'messages' must contain the word 'json' in some form, to use 'response_format' of type \
                           'json_object'.";
            Err(Invalid { code: None, param: Some("messages".into()), message: message.into() })
        }
        _ => Ok(()),
    }
}

/// Whether the word is there, in some form.
pub(crate) fn says_json(text: &str) -> bool {
    text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
}

/// OpenAI's limits for metadata.
fn check_metadata(body: &Object<'_>) -> Result<(), Invalid> {
    const MOST_PAIRS: usize = 16;
    const LONGEST_KEY: usize = 64;
    const LONGEST_VALUE: usize = 512;
    let Some(metadata) = body.get("metadata") else { return Ok(()) };
    let metadata = object("metadata", metadata)?;
    let pairs = metadata.members();
    let too_many = |code, what: &str, most: usize, got: usize, param: String| {
        let message = format!("Invalid '{param}': {what}. Expected at most {most}, but got {got} instead.");
        Err(Invalid::new(code, param, message))
    };
    if pairs.len() > MOST_PAIRS {
        return too_many(
            "object_above_max_properties",
            "too many properties",
            MOST_PAIRS,
            pairs.len(),
            "metadata".into(),
        );
    }
    for pair in pairs {
        let key = pair.key.chars().count();
        if key > LONGEST_KEY {
            return too_many(
                "property_name_above_max_length",
                "property name too long",
                LONGEST_KEY,
                key,
                "metadata".into(),
            );
        }
        let param = format!("metadata.{}", pair.key);
        let value = string(&param, pair.value)?.chars().count();
        if value > LONGEST_VALUE {
            return too_many("string_above_max_length", "string too long", LONGEST_VALUE, value, param);
        }
    }
    Ok(())
}

fn check_tool_choice(body: &Object<'_>) -> Result<(), Invalid> {
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    if choice.starts_with('"') {
        return one_of("tool_choice", choice, &["none", "auto", "required"]);
    }
    if !choice.starts_with('{') {
        return Err(Invalid::wrong_type("tool_choice", "one of a tool choice mode or an object", kind(choice)));
    }
    let choice = object("tool_choice", choice)?;
    let r#type = choice.get("type").map(|kind| string("tool_choice.type", kind)).transpose()?;
    match r#type.as_deref() {
        Some("custom" | "allowed_tools") => Ok(()),
        _ if choice.get("function").is_some() => Ok(()),
        _ => Err(Invalid::missing("tool_choice.function")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &str) -> (Option<&'static str>, Option<String>) {
        let text = format!("{{{fields}}}");
        let invalid = check(&Object::parse(&text).unwrap(), "hello").unwrap_err();
        (invalid.code, invalid.param)
    }

    #[test]
    fn wrong_options_are_named_as_openai_names_them() {
        let long = "x".repeat(513);
        let long_key = "k".repeat(65);
        let many: Vec<String> = (0..17).map(|index| format!("\"{index}\":\"\"")).collect();
        for (fields, code, param) in [
            (r#""temperature":2.5"#, "decimal_above_max_value", "temperature"),
            (r#""temperature":1e999"#, "decimal_above_max_value", "temperature"),
            (r#""temperature":"hot""#, "invalid_type", "temperature"),
            (r#""frequency_penalty":3"#, "decimal_above_max_value", "frequency_penalty"),
            (r#""presence_penalty":-3"#, "decimal_below_min_value", "presence_penalty"),
            (r#""top_logprobs":21,"logprobs":true"#, "integer_above_max_value", "top_logprobs"),
            (r#""response_format":{}"#, "missing_required_parameter", "response_format.type"),
            (r#""response_format":{"type":"bogus"}"#, "invalid_value", "response_format.type"),
            (
                r#""response_format":{"type":"json_schema"}"#,
                "missing_required_parameter",
                "response_format.json_schema",
            ),
            (
                r#""response_format":{"type":"json_schema","json_schema":{}}"#,
                "missing_required_parameter",
                "response_format.json_schema.name",
            ),
            (&format!("\"metadata\":{{{}}}", many.join(",")), "object_above_max_properties", "metadata"),
            (&format!(r#""metadata":{{"a":"{long}"}}"#), "string_above_max_length", "metadata.a"),
            (&format!(r#""metadata":{{"{long_key}":""}}"#), "property_name_above_max_length", "metadata"),
            (r#""metadata":{"a":7}"#, "invalid_type", "metadata.a"),
            (r#""reasoning_effort":"bogus""#, "unsupported_value", "reasoning_effort"),
            (r#""verbosity":"bogus""#, "invalid_value", "verbosity"),
            (r#""tool_choice":"bogus""#, "invalid_value", "tool_choice"),
            (r#""tool_choice":{"type":"bogus"}"#, "missing_required_parameter", "tool_choice.function"),
            (r#""tool_choice":7"#, "invalid_type", "tool_choice"),
        ] {
            assert_eq!(refused(fields), (Some(code), Some(param.to_owned())), "{fields}");
        }
        assert_eq!(refused(r#""top_logprobs":3"#), (None, Some("top_logprobs".into())));
        assert_eq!(refused(r#""response_format":{"type":"json_object"}"#), (None, Some("messages".into())));
    }

    #[test]
    fn good_options_pass() {
        let text = r#"{"temperature":0.7,"top_p":1,"frequency_penalty":-2,"presence_penalty":2.0,"logprobs":true,"top_logprobs":5,
            "response_format":{"type":"json_object"},"metadata":{"a":"b"},"reasoning_effort":"high","verbosity":"low",
            "tool_choice":{"type":"function","function":{"name":"f"}}}"#;
        assert_eq!(check(&Object::parse(text).unwrap(), "as JSON, please"), Ok(()));
    }
}
