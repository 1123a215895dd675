//! A response as a client asks for it: read, checked, and nothing of it changed.

use super::input;
use crate::chat::says_json;
use crate::error::Invalid;
use crate::fields::{self, MOST_TOKENS, array, boolean, closed, integer, object, string};
use crate::paid::{Ask, Limit, Writes};
use crate::splice::Object;

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Ask<'_>, Invalid> {
    let body = fields::body(text)?;
    let model = body.get("model").ok_or_else(|| Invalid::missing("model"))?;
    let model = string("model", model)?;
    if model.is_empty() {
        return Err(Invalid::missing("model"));
    }
    closed::check(&body, &[closed::FALLBACKS])?;
    let mut reads = input::read(body.get("input").ok_or_else(|| Invalid::missing("input"))?)?;
    if let Some(instructions) = body.get("instructions") {
        string("instructions", instructions)?;
        reads.messages += 1;
    }
    let stream = body.get("stream").map_or(Ok(false), |value| boolean("stream", value))?;
    check_stream_options(&body)?;
    reads.tools = read_tools(&body)?;
    reads.structured = read_structured(&body)?;
    let limit = body.get("max_output_tokens").map(|value| integer("max_output_tokens", value, 1, MOST_TOKENS));
    let writes = Writes {
        answers: 1,
        limit: limit.transpose()?.map_or(Limit::Unnamed, Limit::Named),
        beside_limit: fields::thinking_budgets(&body)?,
        images: 1,
    };
    Ok(Ask {
        fallbacks: fields::fallbacks(&body)?,
        body,
        model,
        stream,
        include_usage: false,
        reads,
        writes,
        finish: None,
    })
}

/// Usage always comes with the last event, so there is nothing to ask for; OpenAI refuses the question.
fn check_stream_options(body: &Object<'_>) -> Result<(), Invalid> {
    let Some(options) = body.get("stream_options") else { return Ok(()) };
    if object("stream_options", options)?.get("include_usage").is_some() {
        let param = "stream_options.include_usage";
        return Err(Invalid::new("unknown_parameter", param, format!("Unknown parameter: '{param}'.")));
    }
    Ok(())
}

fn read_tools(body: &Object<'_>) -> Result<u64, Invalid> {
    let Some(tools) = body.get("tools") else { return Ok(0) };
    let tools = array("tools", tools)?;
    for (index, tool) in tools.iter().enumerate() {
        let at = format!("tools[{index}]");
        let tool = object(&at, tool.get())?;
        let r#type = tool.get("type").ok_or_else(|| Invalid::missing(format!("{at}.type")))?;
        match string(&format!("{at}.type"), r#type)?.as_str() {
            "function" | "custom" => {}
            _ => return Err(Invalid::unsupported(format!("{at}.type"), fields::HOSTED_TOOL)),
        }
        let name = tool.get("name").ok_or_else(|| Invalid::missing(format!("{at}.name")))?;
        string(&format!("{at}.name"), name)?;
    }
    Ok(tools.len() as u64)
}

fn read_structured(body: &Object<'_>) -> Result<bool, Invalid> {
    let Some(text) = body.get("text") else { return Ok(false) };
    let text = object("text", text)?;
    let Some(format) = text.get("format") else { return Ok(false) };
    let format = object("text.format", format)?;
    let r#type = format.get("type").ok_or_else(|| Invalid::missing("text.format.type"))?;
    let r#type = string("text.format.type", r#type)?;
    if r#type == "json_object" && !says_json(body.get("input").unwrap_or_default()) {
        let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of type \
                       'json_object'.";
        return Err(Invalid { code: None, param: Some("text.format".into()), message: message.into() });
    }
    Ok(r#type != "text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","input":"hi"{fields}}}"#)
    }

    #[test]
    fn what_is_wrong_or_cannot_be_priced_is_named() {
        for (text, code, param) in [
            ("{}".to_owned(), "missing_required_parameter", "model"),
            (r#"{"model":"m"}"#.to_owned(), "missing_required_parameter", "input"),
            (with(r#","max_output_tokens":0"#), "integer_below_min_value", "max_output_tokens"),
            (with(r#","stream":"yes""#), "invalid_type", "stream"),
            (with(r#","instructions":7"#), "invalid_type", "instructions"),
            (
                with(r#","stream":true,"stream_options":{"include_usage":true}"#),
                "unknown_parameter",
                "stream_options.include_usage",
            ),
            (with(r#","previous_response_id":"resp_1""#), "unsupported_parameter", "previous_response_id"),
            (with(r#","conversation":"conv_1""#), "unsupported_parameter", "conversation"),
            (with(r#","prompt":{"id":"pmpt_1"}"#), "unsupported_parameter", "prompt"),
            (with(r#","background":true"#), "unsupported_parameter", "background"),
            (with(r#","tools":[{"type":"web_search"}]"#), "unsupported_parameter", "tools[0].type"),
            (with(r#","tools":[{"type":"mcp","server_url":"x"}]"#), "unsupported_parameter", "tools[0].type"),
            (with(r#","tools":[{"type":"function"}]"#), "missing_required_parameter", "tools[0].name"),
            (with(r#","text":{"format":{}}"#), "missing_required_parameter", "text.format.type"),
            (with(r#","service_tier":"priority""#), "unsupported_parameter", "service_tier"),
        ] {
            let invalid = read(&text).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{text}");
        }
        assert_eq!(read("[]").unwrap_err(), Invalid::unparseable());
    }

    #[test]
    fn what_it_may_cost_is_read() {
        let text = with(
            r#","background":false,"instructions":"be kind","max_output_tokens":50,"reasoning":{"effort":"low"},
            "tools":[{"type":"function","name":"f"},{"type":"custom","name":"g"}],
            "text":{"format":{"type":"json_schema"},"verbosity":"low"},"stream":true"#,
        );
        let ask = read(&text).unwrap();
        assert!(ask.stream && ask.reads.structured);
        assert_eq!((ask.reads.messages, ask.reads.tools, ask.writes.limit), (2, 2, Limit::Named(50)));
        assert_eq!(read(&with("")).unwrap().writes.limit, Limit::Unnamed);
    }
}
