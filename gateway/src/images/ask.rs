//! Images as a client asks for them: read, checked, and nothing of them changed.

use schemas::price_book::Model;

use super::size;
use crate::error::{Error, Invalid};
use crate::fields::{self, closed, integer, kind, one_of, string};
use crate::paid::{Ask, Limit, Reads, Writes};
use crate::splice::Object;

/// Characters of a prompt.
const LONGEST_PROMPT: usize = 10_000;
/// Images of one request.
const MOST_IMAGES: u64 = 4;
const STANDARD_QUALITY: &str = "The price of an image holds for standard quality.";

/// Reads a body.
pub(super) fn read(text: &str) -> Result<Ask<'_>, Invalid> {
    let body = fields::body(text)?;
    let model = string("model", body.get("model").ok_or_else(|| Invalid::missing("model"))?)?;
    if model.is_empty() {
        return Err(Invalid::missing("model"));
    }
    check_prompt(&body)?;
    closed::check(&body, &["prompt", "background"])?;
    let n = body.get("n").map(|n| integer("n", n, 1, MOST_IMAGES)).transpose()?.unwrap_or(1);
    if body.get("stream").is_some_and(|stream| stream != "false") {
        return Err(Invalid::unsupported("stream", "Images come whole."));
    }
    if let Some(quality) = body.get("quality") {
        one_of("quality", quality, &["auto", "low", "medium", "high", "standard", "hd"])?;
        if matches!(string("quality", quality)?.as_str(), "high" | "hd") {
            return Err(Invalid::unsupported("quality", STANDARD_QUALITY));
        }
    }
    if let Some(format) = body.get("response_format") {
        one_of("response_format", format, &["url", "b64_json"])?;
    }
    for member in ["style", "output_format"] {
        let value = body.get(member).map(|value| string(member, value)).transpose()?;
        if value.is_some_and(|value| value.contains("vector") || value == "svg") {
            return Err(Invalid::unsupported(member, "Vector images are not sold."));
        }
    }
    if let Some(ratio) = body.get("aspect_ratio") {
        one_of("aspect_ratio", ratio, &size::ratios())?;
    }
    let writes = Writes { answers: n, limit: Limit::None, beside_limit: 0, images: 1 };
    let reads = Reads { messages: 1, ..Reads::default() };
    Ok(Ask { body, model, fallbacks: Vec::new(), stream: false, include_usage: false, reads, writes, finish: None })
}

fn check_prompt(body: &Object<'_>) -> Result<(), Invalid> {
    let prompt =
        body.members().iter().find(|member| member.key == "prompt").ok_or_else(|| Invalid::missing("prompt"))?;
    if !prompt.value.starts_with('"') {
        return Err(Invalid::wrong_type("prompt", "a string", kind(prompt.value)));
    }
    let length = string("prompt", prompt.value)?.chars().count();
    if length == 0 {
        let message = "Invalid 'prompt': empty string. Expected a string with minimum length 1, but got an empty string \
                       instead.";
        return Err(Invalid::new("empty_string", "prompt", message));
    }
    if length > LONGEST_PROMPT {
        let message = format!(
            "Invalid 'prompt': string too long. Expected a string with maximum length {LONGEST_PROMPT}, but got a string \
             with length {length} instead."
        );
        return Err(Invalid::new("string_above_max_length", "prompt", message));
    }
    Ok(())
}

/// Refuses sizes that are none, and those that the price does not pay for.
pub(super) fn check_model(ask: &Ask<'_>, model: &Model) -> Result<(), Error> {
    let Some(size) = ask.body.get("size") else { return Ok(()) };
    let pixels = size::pixels(&string("size", size)?).map_err(Error::InvalidImage)?;
    pixels.map_or(Ok(()), |pixels| size::check(pixels, model)).map_err(Error::InvalidImage)
}

/// The size for the shape that is wished, where no size is.
pub(super) fn size_of_ratio(body: &Object<'_>) -> Option<&'static str> {
    if body.get("size").is_some() {
        return None;
    }
    size::of_ratio(&string("aspect_ratio", body.get("aspect_ratio")?).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_fields_are_named_as_openai_names_them() {
        let long = "x".repeat(10_001);
        for (fields, code, param) in [
            (r#""x":1"#, "missing_required_parameter", "prompt"),
            (r#""prompt":null"#, "invalid_type", "prompt"),
            (r#""prompt":"""#, "empty_string", "prompt"),
            (&format!(r#""prompt":"{long}""#), "string_above_max_length", "prompt"),
            (r#""prompt":"a","n":0"#, "integer_below_min_value", "n"),
            (r#""prompt":"a","n":5"#, "integer_above_max_value", "n"),
            (r#""prompt":"a","n":1.5"#, "invalid_type", "n"),
            (r#""prompt":"a","quality":"ultra""#, "invalid_value", "quality"),
            (r#""prompt":"a","quality":"hd""#, "unsupported_parameter", "quality"),
            (r#""prompt":"a","stream":true"#, "unsupported_parameter", "stream"),
            (r#""prompt":"a","style":"vector_illustration""#, "unsupported_parameter", "style"),
            (r#""prompt":"a","aspect_ratio":"7:5""#, "invalid_value", "aspect_ratio"),
            (r#""prompt":"a","response_format":"jpg""#, "invalid_value", "response_format"),
            (
                r#""prompt":"a","providerOptions":{"blackForestLabs":{"width":4096}}"#,
                "unsupported_parameter",
                "providerOptions.blackForestLabs.width",
            ),
        ] {
            let invalid = read(&format!(r#"{{"model":"m",{fields}}}"#)).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{fields}");
        }
        assert_eq!(read(r#"{"prompt":"a"}"#).unwrap_err().param.as_deref(), Some("model"));
    }

    #[test]
    fn old_clients_fields_are_taken() {
        let text = r#"{"model":"m","prompt":"   ","n":4,"style":"vivid","response_format":"b64_json","background":"auto","user":"u"}"#;
        assert_eq!(read(text).unwrap().writes.answers, 4);
    }

    #[test]
    fn a_shape_becomes_a_size_where_none_is_named() {
        let size = |fields: &str| {
            let text = format!(r#"{{"model":"m","prompt":"a"{fields}}}"#);
            size_of_ratio(&read(&text).unwrap().body)
        };
        assert_eq!(size(""), None);
        assert_eq!(size(r#","aspect_ratio":"16:9""#), Some("1344x768"));
        assert_eq!(size(r#","aspect_ratio":"16:9","size":"512x512""#), None);
    }
}
