use axum::extract::Request;
use serde::de::DeserializeOwned;

use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::paid;

/// Reads a request's JSON. No body at all is an empty object.
pub(super) async fn read<T: DeserializeOwned>(edge: &Edge, request: Request) -> Result<T, Error> {
    let body = paid::body::read(request, edge.body_patience()).await?;
    let body = if body.is_empty() { &b"{}"[..] } else { &body[..] };
    Ok(parse(body)?)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Invalid> {
    // A list would be taken for an object whose members have no names.
    if serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(body).is_ok() {
        let message = "Invalid body: expected an object, but got an array instead.";
        return Err(Invalid { code: Some("invalid_type"), param: None, message: message.into() });
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        told(error.inner(), &path)
    })?;
    reader.end().map_err(|_| Invalid::unparseable())?;
    Ok(value)
}

/// A mistake in OpenAI's terms.
fn told(error: &serde_json::Error, path: &str) -> Invalid {
    if !error.is_data() {
        return Invalid::unparseable();
    }
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    let named = words.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| if path == "." || path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if words.starts_with("missing field") {
        return Invalid::missing(inside(named));
    }
    if words.starts_with("unknown field") {
        // The path names the unknown field already.
        return Invalid::new("unknown_parameter", path, format!("Unknown parameter: '{path}'."));
    }
    if words.starts_with("duplicate field") {
        return Invalid::new("invalid_value", inside(named), format!("'{named}' is there twice."));
    }
    let kind = if words.starts_with("invalid type") { "invalid_type" } else { "invalid_value" };
    match path {
        "." | "" => Invalid { code: Some(kind), param: None, message: format!("Invalid body: {words}.") },
        path => Invalid::new(kind, path, format!("Invalid '{path}': {words}.")),
    }
}

#[cfg(test)]
mod tests {
    use schemas::money::Nanocredits;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Body {
        credits: Nanocredits,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        a: u32,
    }

    #[test]
    fn mistakes_name_their_field() {
        for (body, code, param) in [
            ("{}", Some("missing_required_parameter"), Some("credits")),
            (r#"{"credits":"1","inner":{}}"#, Some("missing_required_parameter"), Some("inner.a")),
            (r#"{"credits":"1","x":1}"#, Some("unknown_parameter"), Some("x")),
            (r#"{"credits":"1","credits":"2"}"#, Some("invalid_value"), Some("credits")),
            (r#"{"credits":1}"#, Some("invalid_type"), Some("credits")),
            (r#"{"credits":"a lot"}"#, Some("invalid_value"), Some("credits")),
            (r#"{"credits":"1","inner":{"a":-1}}"#, Some("invalid_value"), Some("inner.a")),
            ("[]", Some("invalid_type"), None),
            ("{", None, None),
            (r#"{"credits":"1"} x"#, None, None),
            ("\"\\ud800\"", None, None),
        ] {
            let invalid = parse::<Body>(body.as_bytes()).expect_err(body);
            assert_eq!((invalid.code, invalid.param.as_deref()), (code, param), "{body}: {}", invalid.message);
        }
        assert!(parse::<Body>(br#"{"credits":"1.5"}"#).is_ok());
    }
}
