//! Messages as a client asks for them: read, checked, and nothing of them changed.

use super::{prompt, tools};
use crate::error::Invalid;
use crate::fields::{self, MOST_TOKENS, array, boolean, check_cache_control, closed, integer, object, one_of, string};
use crate::paid::{Ask, Limit, Writes};
use crate::splice::Object;

/// Edits of the context that only take away.
const FREE_EDITS: &str = "clear_";

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Ask<'_>, Invalid> {
    let body = fields::body(text)?;
    let model = string("model", body.get("model").ok_or_else(|| Invalid::missing("model"))?)?;
    if model.is_empty() {
        return Err(Invalid::missing("model"));
    }
    let messages = body.get("messages").ok_or_else(|| Invalid::missing("messages"))?;
    let mut reads = prompt::read(messages, body.get("system"))?;
    closed::check(&body, &["service_tier", "context_management"])?;
    if let Some(tier) = body.get("service_tier") {
        // Neither is what costs more: priority must be bought beforehand, and is not.
        one_of("service_tier", tier, &["auto", "standard_only"])?;
    }
    check_context_management(&body)?;
    if let Some(control) = body.get("cache_control") {
        check_cache_control("cache_control", control)?;
    }
    tools::read(&body, &mut reads)?;
    let stream = body.get("stream").map_or(Ok(false), |value| boolean("stream", value))?;
    let limit = body.get("max_tokens").map(|value| integer("max_tokens", value, 1, MOST_TOKENS)).transpose()?;
    reads.structured = body.get("output_config").or(body.get("output_format")).is_some();
    let writes = Writes {
        answers: 1,
        // Anthropic demands one; who forgets it is helped as on the other routes.
        limit: limit.map_or(Limit::Unnamed, Limit::Named),
        beside_limit: fields::thinking_budgets(&body)?,
        images: 1,
    };
    Ok(Ask { body, model, fallbacks: Vec::new(), stream, include_usage: false, reads, writes, finish: None })
}

fn check_context_management(body: &Object<'_>) -> Result<(), Invalid> {
    let Some(management) = body.get("context_management") else { return Ok(()) };
    let Some(edits) = object("context_management", management)?.get("edits") else { return Ok(()) };
    for (index, edit) in array("context_management.edits", edits)?.iter().enumerate() {
        let at = format!("context_management.edits[{index}]");
        let r#type =
            object(&at, edit.get())?.get("type").map(|kind| string(&format!("{at}.type"), kind)).transpose()?;
        if !r#type.is_some_and(|kind| kind.starts_with(FREE_EDITS)) {
            return Err(Invalid::unsupported(format!("{at}.type"), "What it writes cannot be bounded beforehand."));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(fields: &str) -> String {
        format!(r#"{{"model":"m","max_tokens":10,"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
    }

    #[test]
    fn what_is_wrong_or_cannot_be_priced_is_named() {
        for (text, code, param) in [
            ("{}".to_owned(), "missing_required_parameter", "model"),
            (r#"{"model":"m"}"#.to_owned(), "missing_required_parameter", "messages"),
            (with("").replace("10", "0"), "integer_below_min_value", "max_tokens"),
            (with(r#","stream":"yes""#), "invalid_type", "stream"),
            (with(r#","mcp_servers":[{}]"#), "unsupported_parameter", "mcp_servers"),
            (with(r#","container":"x""#), "unsupported_parameter", "container"),
            (with(r#","speed":"fast""#), "unsupported_parameter", "speed"),
            (with(r#","inference_geo":"us""#), "unsupported_parameter", "inference_geo"),
            (with(r#","service_tier":"priority""#), "invalid_value", "service_tier"),
            (with(r#","cache_control":{"type":"ephemeral","ttl":"1h"}"#), "unsupported_parameter", "cache_control.ttl"),
            (
                with(r#","context_management":{"edits":[{"type":"compact_20260112"}]}"#),
                "unsupported_parameter",
                "context_management.edits[0].type",
            ),
            (with(r#","tools":[{"type":"web_search_20250305"}]"#), "unsupported_parameter", "tools[0].type"),
        ] {
            let invalid = read(&text).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{text}");
        }
    }

    #[test]
    fn what_it_may_cost_is_read() {
        let text = with(
            r#","stream":true,"service_tier":"auto","system":"be kind","thinking":{"type":"enabled","budget_tokens":2000},
            "context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]},
            "tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}]"#,
        );
        let ask = read(&text).unwrap();
        assert!(ask.stream);
        assert_eq!((ask.reads.messages, ask.reads.tools), (2, 2));
        assert_eq!((ask.writes.limit, ask.writes.beside_limit), (Limit::Named(10), 2_000));
    }
}
