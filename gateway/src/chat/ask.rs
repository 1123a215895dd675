//! A chat completion as a client asks for it: read, checked, and nothing of it changed. The checks come in OpenAI's
//! order: JSON, model, messages, then each field.

use super::{options, prompt};
use crate::error::Invalid;
use crate::fields::{self, MOST_TOKENS, array, boolean, check_cache_control, closed, empty, integer, object, string};
use crate::paid::{Ask, Limit, Writes};
use crate::splice::Object;

/// OpenAI's limit for `n`.
const MOST_CHOICES: u64 = 128;
/// Models that write images write one an answer when they are asked to; a few do more at most.
const IMAGES_AN_ANSWER: u64 = 4;

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Ask<'_>, Invalid> {
    let body = fields::body(text)?;
    let model = fields::model(&body)?;
    let messages = body.get("messages").ok_or_else(|| Invalid::missing("messages"))?;
    let mut reads = prompt::read(messages)?;
    closed::check(&body, &[closed::FALLBACKS])?;
    let number = |param, min, max| body.get(param).map(|value| integer(param, value, min, max)).transpose();
    let stream = body.get("stream").map_or(Ok(false), |value| boolean("stream", value))?;
    let limits = [number("max_tokens", 1, MOST_TOKENS)?, number("max_completion_tokens", 1, MOST_TOKENS)?];
    let answers = number("n", 1, MOST_CHOICES)?.unwrap_or(1);
    let include_usage = read_include_usage(&body, stream)?;
    options::check(&body, messages)?;
    let beside_limit = fields::thinking_budgets(&body)?;
    reads.tools = read_tools(&body)?;
    reads.structured = read_structured(&body)?;
    let limit = limits.into_iter().flatten().max().map_or(Limit::Unnamed, Limit::Named);
    let writes = Writes { answers, limit, beside_limit, images: IMAGES_AN_ANSWER };
    Ok(Ask { fallbacks: fields::fallbacks(&body)?, body, model, stream, include_usage, reads, writes, finish: None })
}

fn read_include_usage(body: &Object<'_>, stream: bool) -> Result<bool, Invalid> {
    // OpenRouter's way of asking for the usage; it always comes back, so there is nothing to refuse.
    let usage = body.get("usage").filter(|value| value.starts_with('{'));
    let asked =
        usage.and_then(|value| Object::parse(value).ok()).is_some_and(|usage| usage.get("include") == Some("true"));
    let Some(options) = body.get("stream_options") else { return Ok(asked) };
    if !stream {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Invalid { code: None, param: Some("stream_options".into()), message: message.into() });
    }
    let options = object("stream_options", options)?;
    let known = ["include_usage", "include_obfuscation"];
    if let Some(unknown) = options.members().iter().find(|member| !known.contains(&&*member.key)) {
        let param = format!("stream_options.{}", unknown.key);
        let message = format!("Unknown parameter: '{param}'.");
        return Err(Invalid::new("unknown_parameter", param, message));
    }
    match options.get("include_usage") {
        Some(value) => boolean("stream_options.include_usage", value),
        None => Ok(asked),
    }
}

fn read_tools(body: &Object<'_>) -> Result<u64, Invalid> {
    let mut count = 0;
    if let Some(functions) = body.get("functions") {
        count += array("functions", functions)?.len() as u64;
    }
    let Some(tools) = body.get("tools") else { return Ok(count) };
    let tools = array("tools", tools)?;
    if tools.is_empty() {
        return Err(empty("tools"));
    }
    for (index, tool) in tools.iter().enumerate() {
        check_tool(&format!("tools[{index}]"), tool.get())?;
    }
    Ok(count + tools.len() as u64)
}

fn check_tool(at: &str, value: &str) -> Result<(), Invalid> {
    let tool = object(at, value)?;
    let field = |name: &str| format!("{at}.{name}");
    if let Some(control) = tool.get("cache_control") {
        check_cache_control(&field("cache_control"), control)?;
    }
    let r#type = tool.get("type").map(|value| string(&field("type"), value)).transpose()?;
    let what = match r#type.as_deref() {
        None if tool.get("function").is_some() => return Err(Invalid::missing(field("type"))),
        None | Some("function") => "function",
        Some("custom") => "custom",
        Some(_) => {
            return Err(Invalid::unsupported(field("type"), fields::HOSTED_TOOL));
        }
    };
    let definition = tool.get(what).ok_or_else(|| Invalid::missing(field(what)))?;
    let definition = object(&field(what), definition)?;
    match definition.get("name") {
        Some(name) => string(&format!("{at}.{what}.name"), name).map(drop),
        None => Err(Invalid::missing(format!("{at}.{what}.name"))),
    }
}

fn read_structured(body: &Object<'_>) -> Result<bool, Invalid> {
    let Some(format) = body.get("response_format") else { return Ok(false) };
    let format = object("response_format", format)?;
    let r#type = format.get("type").ok_or_else(|| Invalid::missing("response_format.type"))?;
    Ok(string("response_format.type", r#type)? != "text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
    }

    fn refused(text: &str) -> (Option<&'static str>, Option<String>) {
        let invalid = read(text).unwrap_err();
        (invalid.code, invalid.param)
    }

    #[test]
    fn what_is_no_request_is_not_parsed() {
        for text in ["", "[]", "\"x\"", "{\"model\":", r#"{"model":7}"#, "\u{feff}{}", "{\"model\":\"m\",\"n\":NaN}"] {
            assert_eq!(refused(text), (None, None), "{text}");
            assert!(read(text).unwrap_err().message.starts_with("We could not parse"), "{text}");
        }
        for text in ["{}", r#"{"model":""}"#, r#"{"model":null}"#] {
            assert_eq!(read(text).unwrap_err().message, "you must provide a model parameter");
        }
        assert_eq!(refused(r#"{"model":"m"}"#), (Some("missing_required_parameter"), Some("messages".into())));
        assert_eq!(refused(&with(r#","n":1,"n":2"#)), (Some("invalid_value"), Some("n".into())));
    }

    #[test]
    fn wrong_fields_are_named_as_openai_names_them() {
        for (fields, code, param) in [
            (r#","n":0"#, "integer_below_min_value", "n"),
            (r#","n":"2""#, "invalid_type", "n"),
            (r#","n":129"#, "integer_above_max_value", "n"),
            (r#","max_tokens":0"#, "integer_below_min_value", "max_tokens"),
            (r#","max_completion_tokens":0"#, "integer_below_min_value", "max_completion_tokens"),
            (r#","max_completion_tokens":1000000000000"#, "integer_above_max_value", "max_completion_tokens"),
            (r#","stream":"yes""#, "invalid_type", "stream"),
            (r#","stream":true,"stream_options":7"#, "invalid_type", "stream_options"),
            (r#","tools":[{}]"#, "missing_required_parameter", "tools[0].function"),
            (r#","tools":[{"type":"function","function":{}}]"#, "missing_required_parameter", "tools[0].function.name"),
            (r#","tools":[{"type":"web_search"}]"#, "unsupported_parameter", "tools[0].type"),
            (r#","tools":[]"#, "empty_array", "tools"),
            (r#","response_format":{}"#, "missing_required_parameter", "response_format.type"),
            (r#","models":"x""#, "invalid_type", "models"),
        ] {
            assert_eq!(refused(&with(fields)), (Some(code), Some(param.to_owned())), "{fields}");
        }
        assert_eq!(refused(&with(r#","stream_options":{}"#)), (None, Some("stream_options".into())));
    }

    #[test]
    fn null_is_absent() {
        let text = with(r#","n":null,"stream":null,"stream_options":null,"max_tokens":null,"tools":null"#);
        let ask = read(&text).unwrap();
        assert_eq!((ask.writes.answers, ask.stream, ask.writes.limit, ask.reads.tools), (1, false, Limit::Unnamed, 0));
    }

    #[test]
    fn what_is_billed_beside_the_limit_is_counted() {
        let text = with(
            r#","max_tokens":100,"max_completion_tokens":200,"reasoning":{"max_tokens":1000},
            "providerOptions":{"anthropic":{"thinking":{"type":"enabled","budgetTokens":2000}}}"#,
        );
        let ask = read(&text).unwrap();
        assert_eq!((ask.writes.limit, ask.writes.beside_limit), (Limit::Named(200), 3_000));
    }

    #[test]
    fn usage_is_included_where_it_is_asked_for() {
        for (fields, included) in [
            (r#","stream":true"#, false),
            (r#","stream":true,"stream_options":{"include_usage":true}"#, true),
            (r#","stream":true,"stream_options":{"include_usage":null}"#, false),
            (r#","stream":true,"usage":{"include":true}"#, true),
        ] {
            assert_eq!(read(&with(fields)).unwrap().include_usage, included, "{fields}");
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(refused(&with(&format!(r#","x":{deep}"#))), (Some("nesting_too_deep"), None));
        let messages = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{deep}}}]}}"#);
        assert!(read(&messages).is_err());
    }
}
