//! Embeddings as a client asks for them: read, checked, and nothing of it changed.

use super::{input, vectors};
use crate::error::Invalid;
use crate::fields::{self, closed, integer, one_of, string};
use crate::paid::{Ask, Finish, Limit, Writes};

/// More numbers than any model's vectors have.
const MOST_DIMENSIONS: u64 = 65_536;

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Ask<'_>, Invalid> {
    let body = fields::body(text)?;
    let model = fields::model(&body)?;
    let reads = input::read(body.get("input").ok_or_else(|| Invalid::missing("input"))?)?;
    closed::check(&body, &[])?;
    if body.get("stream").is_some_and(|stream| stream != "false") {
        return Err(Invalid::unsupported("stream", "Embeddings come whole."));
    }
    if let Some(dimensions) = body.get("dimensions") {
        integer("dimensions", dimensions, 1, MOST_DIMENSIONS)?;
    }
    let mut base64 = false;
    if let Some(format) = body.get("encoding_format") {
        one_of("encoding_format", format, &["float", "base64"])?;
        base64 = string("encoding_format", format)? == "base64";
    }
    let writes = Writes { answers: 1, limit: Limit::None, beside_limit: 0, images: 0 };
    let finish = base64.then_some(vectors::in_base64 as Finish);
    Ok(Ask { body, model, fallbacks: Vec::new(), stream: false, include_usage: false, reads, writes, finish })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_fields_are_named_as_openai_names_them() {
        for (fields, code, param) in [
            (r#""input":"a","dimensions":0"#, "integer_below_min_value", "dimensions"),
            (r#""input":"a","dimensions":"x""#, "invalid_type", "dimensions"),
            (r#""input":"a","encoding_format":"hex""#, "invalid_value", "encoding_format"),
            (r#""input":"a","stream":true"#, "unsupported_parameter", "stream"),
            (
                r#""input":"a","providerOptions":{"gateway":{"models":["x"]}}"#,
                "unsupported_parameter",
                "providerOptions.gateway.models",
            ),
            (r#""x":1"#, "missing_required_parameter", "input"),
        ] {
            let invalid = read(&format!(r#"{{"model":"m",{fields}}}"#)).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{fields}");
        }
        assert_eq!(read(r#"{"input":"a"}"#).unwrap_err().message, "you must provide a model parameter");
    }

    #[test]
    fn vectors_are_finished_where_they_are_wanted_as_text() {
        assert!(
            read(r#"{"model":"m","input":"a","encoding_format":"base64","dimensions":8}"#).unwrap().finish.is_some()
        );
        assert!(read(r#"{"model":"m","input":"a","encoding_format":"float"}"#).unwrap().finish.is_none());
    }
}
