//! The body that the provider gets: the client's own bytes, with the few members changed that must be.

use bytes::Bytes;

use super::ask::Ask;
use super::route::Route;
use crate::fields::without_fallbacks;
use crate::splice::Splice;

/// The body for the provider. `model` is its id there; `filled` is an output limit for a client that names none.
pub(super) fn upstream_body(body: &Bytes, route: &dyn Route, ask: &Ask<'_>, model: &str, filled: Option<u64>) -> Bytes {
    let mut splice = Splice::new(&ask.body);
    if ask.model != model {
        // An id has nothing that JSON escapes.
        splice.set("model", format!("\"{model}\""));
    }
    if let Some(limit) = filled {
        splice.set(route.words().limit, limit.to_string());
    }
    if !ask.fallbacks.is_empty() {
        without_fallbacks(&ask.body, &mut splice);
    }
    route.rewrite(ask, &mut splice);
    splice.finish().map_or_else(|| body.clone(), Bytes::from)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::CHAT;

    fn rewritten(text: &str, model: &str, filled: Option<u64>) -> String {
        let body = Bytes::copy_from_slice(text.as_bytes());
        let ask = CHAT.read(text).unwrap();
        String::from_utf8(upstream_body(&body, &CHAT, &ask, model, filled).to_vec()).unwrap()
    }

    #[test]
    fn a_body_that_needs_no_change_is_the_same_bytes() {
        let text = r#"{"model":"a/b","messages":[{"role":"user","content":"hi"}],"max_tokens":5}"#;
        let body = Bytes::copy_from_slice(text.as_bytes());
        let same = upstream_body(&body, &CHAT, &CHAT.read(text).unwrap(), "a/b", None);
        assert_eq!(same.as_ptr(), body.as_ptr());
    }

    #[test]
    fn what_the_client_wrote_stays_as_it_wrote_it() {
        let text = r#"{ "temperature":1.0, "model":"b", "messages":[{"role":"user","content":"\u00e9"}],
            "stream":true, "stream_options":{"include_usage":false, "include_obfuscation":false}, "max_tokens":null }"#;
        let expected = r#"{ "temperature":1.0, "model":"a/b", "messages":[{"role":"user","content":"\u00e9"}],
            "stream":true, "stream_options":{"include_usage":true, "include_obfuscation":false}, "max_tokens":7 }"#;
        assert_eq!(rewritten(text, "a/b", Some(7)), expected);
    }

    proptest! {
        #[test]
        fn is_the_expected_json(
            content in ".{0,20}", stream in prop::option::of(any::<bool>()),
            limit in prop_oneof![Just(Value::Null), Just(json!(9)), Just(json!("absent"))],
            options in prop::sample::select(vec![json!("absent"), Value::Null, json!({}), json!({"include_usage": false})]),
            renamed: bool, filled in prop::option::of(1_u64..100),
        ) {
            let mut body = json!({"model": if renamed { "b" } else { "a/b" }, "messages": [{"role": "user", "content": content}]});
            if limit != "absent" { body["max_tokens"] = limit; }
            if let Some(stream) = stream { body["stream"] = json!(stream); }
            if options != "absent" && stream == Some(true) { body["stream_options"] = options; }
            let result: Value = serde_json::from_str(&rewritten(&body.to_string(), "a/b", filled)).unwrap();
            body["model"] = json!("a/b");
            if let Some(filled) = filled { body["max_tokens"] = json!(filled); }
            if stream == Some(true) { body["stream_options"] = json!({"include_usage": true}); }
            prop_assert_eq!(result, body);
        }
    }
}
