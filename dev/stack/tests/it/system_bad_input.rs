//! Bad input: always refused with 4xx in OpenAI's shape, never a 5xx, never a charge, never a hang.

use hyper::Method;
use serde_json::Value;

use super::system_kit::{Answer, HAIKU, World, request};

/// Bodies that the gateway refuses, in OpenAI's words: code and param. Status is 400 unless the code says more.
fn refused_bodies() -> Vec<(String, Option<&'static str>, Option<&'static str>)> {
    const MISSING: Option<&str> = Some("missing_required_parameter");
    const TYPE: Option<&str> = Some("invalid_type");
    const VALUE: Option<&str> = Some("invalid_value");
    const EMPTY: Option<&str> = Some("empty_array");
    const BELOW: Option<&str> = Some("integer_below_min_value");
    const ABOVE: Option<&str> = Some("integer_above_max_value");
    const CLOSED: Option<&str> = Some("unsupported_parameter");
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deeper = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let mut cases: Vec<(String, Option<&str>, Option<&str>)> = Vec::new();

    // No JSON, or not the JSON of a request.
    for body in ["", " ", "[]", "\"x\"", "7", "null", "{", "{\"model\":", "{}{}", "{'model':'x'}", "\u{feff}{}", "\0"] {
        cases.push((body.to_owned(), None, None));
    }
    let member = |member: &str| with(HAIKU, &format!(", {member}"));
    for body in [
        member("\"n\":NaN"),
        member("\"temperature\":Infinity"),
        member("\"temperature\":01"),
        member("\"x\":\"a\0b\""),
        member("\"x\":\"a\nb\""),
        format!("{} trailing", with(HAIKU, "")),
    ] {
        cases.push((body, None, None));
    }
    // Nothing is read deeper than it must be, and half a character is no text.
    const DEEP: Option<&str> = Some("nesting_too_deep");
    for body in [
        with_messages(&deep),
        with_messages(&deeper),
        with_messages(&deeper[..deeper.len() - 1]),
        member(&format!("\"unheard_of\":{deep}")),
    ] {
        cases.push((body, DEEP, None));
    }
    cases.push((with_messages(r#"[{"role":"user","content":"\ud800"}]"#), Some("invalid_unicode"), None));
    // The model.
    for body in ["{}", r#"{"model":""}"#, r#"{"model":null}"#, r#"{"model":7}"#, r#"{"model":["a"]}"#] {
        cases.push((body.to_owned(), None, None));
    }
    cases.push((r#"{"model":"\ud800"}"#.to_owned(), Some("invalid_unicode"), None));
    let long = "x".repeat(10_000);
    for name in ["gpt-17", "../models", "%2e%2e/models", "anthropic/", "a\\u0000b", " ", &long] {
        cases.push((with(name, ""), Some("model_not_found"), None));
    }
    // The messages.
    let messages = [
        ("[]", EMPTY, "messages"),
        ("\"hi\"", TYPE, "messages"),
        ("{}", TYPE, "messages"),
        ("[7]", TYPE, "messages[0]"),
        ("[null]", TYPE, "messages[0]"),
        (r#"[{"content":"x"}]"#, MISSING, "messages[0].role"),
        (r#"[{"role":"user","content":"x"},{"role":"bogus"}]"#, VALUE, "messages[1].role"),
        (r#"[{"role":7}]"#, TYPE, "messages[0].role"),
        (r#"[{"role":"user","content":7}]"#, TYPE, "messages[0].content"),
        (r#"[{"role":"user","content":{}}]"#, TYPE, "messages[0].content"),
        (r#"[{"role":"user","content":"a","content":"b"}]"#, VALUE, "messages[0]"),
        (r#"[{"role":"assistant","tool_calls":[]}]"#, EMPTY, "messages[0].tool_calls"),
        (r#"[{"role":"user","content":["x"]}]"#, TYPE, "messages[0].content[0]"),
        (r#"[{"role":"user","content":[{}]}]"#, MISSING, "messages[0].content[0].type"),
        (r#"[{"role":"user","content":[{"type":"text"}]}]"#, MISSING, "messages[0].content[0].text"),
        (r#"[{"role":"user","content":[{"type":"text","text":7}]}]"#, TYPE, "messages[0].content[0].text"),
        (r#"[{"role":"user","content":[{"type":"image_url"}]}]"#, MISSING, "messages[0].content[0].image_url"),
        (
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]"#,
            VALUE,
            "messages[0].content[0].image_url.url",
        ),
        (r#"[{"role":"user","content":[{"type":"input_audio"}]}]"#, CLOSED, "messages[0].content[0].type"),
        (
            r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]"#,
            CLOSED,
            "messages[0].content[0].file.file_id",
        ),
    ];
    cases.push((format!(r#"{{"model":"{HAIKU}"}}"#), MISSING, Some("messages")));
    let messages = messages.into_iter();
    cases.extend(messages.map(|(messages, code, param)| (with_messages(messages), code, Some(static_text(param)))));
    // The other members.
    for (fields, code, param) in [
        (r#""n":0"#, BELOW, "n"),
        (r#""n":-99999999999999999999"#, BELOW, "n"),
        (r#""n":129"#, ABOVE, "n"),
        (r#""n":99999999999999999999"#, ABOVE, "n"),
        (r#""n":"2""#, TYPE, "n"),
        (r#""n":1.5"#, TYPE, "n"),
        (r#""n":1e999"#, TYPE, "n"),
        (r#""max_tokens":0"#, BELOW, "max_tokens"),
        (r#""max_tokens":[]"#, TYPE, "max_tokens"),
        (r#""max_completion_tokens":0"#, BELOW, "max_completion_tokens"),
        (r#""max_completion_tokens":1000000000000"#, ABOVE, "max_completion_tokens"),
        (r#""stream":"yes""#, TYPE, "stream"),
        (r#""stream":1"#, TYPE, "stream"),
        (r#""stream_options":{"include_usage":true}"#, None, "stream_options"),
        (r#""stream":true,"stream_options":7"#, TYPE, "stream_options"),
        (r#""stream":true,"stream_options":{"include_usage":"yes"}"#, TYPE, "stream_options.include_usage"),
        (r#""response_format":{}"#, MISSING, "response_format.type"),
        (r#""response_format":"json""#, TYPE, "response_format"),
        (r#""tools":[]"#, EMPTY, "tools"),
        (r#""tools":{}"#, TYPE, "tools"),
        (r#""tools":[{}]"#, MISSING, "tools[0].function"),
        (r#""tools":[{"type":"function","function":{}}]"#, MISSING, "tools[0].function.name"),
        (r#""tools":[{"type":"web_search"}]"#, CLOSED, "tools[0].type"),
        (r#""n":1,"n":2"#, VALUE, "n"),
        (r#""mod\u0065l":"x""#, VALUE, "model"),
        (r#""service_tier":"bogus""#, VALUE, "service_tier"),
        (r#""service_tier":"priority""#, CLOSED, "service_tier"),
        // What could change the model or the price behind the hold's back.
        (r#""models":"openai/gpt-5-pro""#, TYPE, "models"),
        (r#""models":[]"#, EMPTY, "models"),
        (r#""provider":{"order":["x"]}"#, CLOSED, "provider"),
        (r#""previous_response_id":"resp_1""#, CLOSED, "previous_response_id"),
        (r#""web_search_options":{}"#, CLOSED, "web_search_options"),
        (r#""modalities":["text","audio"]"#, CLOSED, "modalities[1]"),
        (r#""providerOptions":{"gateway":{"models":["a/b", 7]}}"#, TYPE, "providerOptions.gateway.models[1]"),
        (r#""providerOptions":{"gateway":{"order":["x"]}}"#, CLOSED, "providerOptions.gateway.order"),
        (r#""providerOptions":[]"#, TYPE, "providerOptions"),
    ] {
        cases.push((with(HAIKU, &format!(", {fields}")), code, Some(param)));
    }
    cases.push((with(HAIKU, r#", "max_tokens":1000000, "n":128"#), Some("insufficient_credits"), None));
    cases
}

/// A request for little, with more members.
fn with(model: &str, members: &str) -> String {
    format!(r#"{{"model":"{model}", "messages":[{{"role":"user","content":"hi"}}]{members}}}"#)
}

fn with_messages(messages: &str) -> String {
    format!(r#"{{"model":"{HAIKU}", "max_tokens":5, "messages":{messages}}}"#)
}

/// The table above outlives its builder.
fn static_text(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_in_openais_words_and_costs_nothing() {
    let world = World::start();
    let account = world.account("bench", "10");
    let bearer = format!("Bearer {}", account.key);
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| -> Answer {
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        world.client().send(request(Method::POST, "/v1/chat/completions", &headers, body)).await
    };
    let before = world.rows("select max(position) as position from ledger.events").await;

    for (body, code, param) in refused_bodies() {
        let shown: String = body.chars().take(200).collect();
        let answer = post(&[], body.into()).await;
        let error = answer.error();
        let status = match code {
            Some("model_not_found") => 404,
            Some("insufficient_credits") => 402,
            _ => 400,
        };
        assert_eq!(answer.status, status, "{shown}: {error}");
        assert_eq!((error["code"].as_str(), error["param"].as_str()), (code, param), "{shown}: {error}");
        let kind = if status == 402 { "insufficient_funds" } else { "invalid_request_error" };
        assert_eq!(
            (&error["type"], answer.header("content-type")),
            (&kind.into(), Some("application/json")),
            "{shown}"
        );
        assert!(answer.text().len() < 1_000, "{shown}: what is refused is not repeated at length");
    }

    let good = with(HAIKU, "").into_bytes();
    let not_text = [&good[..good.len() - 1], b",\"x\":\"\xff\"}"].concat();
    for (headers, body, status, code) in [
        (&[][..], not_text, 400, "none"),
        (&[("content-encoding", "gzip")], good.clone(), 415, "unsupported_content_encoding"),
        (&[], vec![b' '; 11 * 1024 * 1024], 413, "request_too_large"),
        (&[("authorization", "Bearer lyr_live_other")], good.clone(), 401, "invalid_api_key"),
        (&[("authorization", &*bearer)], good.clone(), 401, "invalid_api_key"),
    ] {
        let answer = post(headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{headers:?}: {}", answer.text());
    }
    for authorization in ["", "Bearer", "Bearer ", "Basic eDp5", &account.key] {
        let headers = [("authorization", authorization)];
        let answer = world.client().send(request(Method::POST, "/v1/chat/completions", &headers, good.clone())).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "none"), "'{authorization}': {}", answer.text());
    }

    half_requests(&world, &bearer).await;
    assert!(world.bill().is_empty(), "no provider was asked");
    // The test of the balance asked the ledger, and may have moved a lease; nothing else happened.
    let since = format!(
        "select event_type from ledger.events where position > {} and event_type not like 'Lease%'",
        before[0]["position"]
    );
    let since = world.rows(&since).await;
    assert!(since.is_empty(), "{since:?}");
    world.close().await;
}

/// Requests that never become whole are answered or ended, and hold nobody up.
async fn half_requests(world: &World, bearer: &str) {
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {bearer}\r\n");
    let huge = format!("{head}content-length: 100000000\r\n\r\n");
    let heard = world.client().raw(huge.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 413 ") && heard.contains("request_too_large"), "{heard}");
    for half in ["content-length: 100\r\n\r\n{\"model\":", "transfer-encoding: chunked\r\n\r\n5\r\n{\"mod"] {
        let heard = world.client().raw_half(format!("{head}{half}").as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400 ") && heard.contains("unreadable_body"), "{half}: {heard}");
    }
    // What is no HTTP any more can only be ended.
    let heard = world.client().raw(format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n").as_bytes()).await;
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400 "), "{heard}");
    assert_eq!(world.client().get("/health", None).await.status, 200);
}

/// What clients send although OpenAI would not take it, or takes it in a way of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_odd_is_answered() {
    let world = World::start();
    let account = world.account("bench", "100");
    let bearer = format!("Bearer {}", account.key);
    let lower_case = format!("bearer {}", account.key);
    let post = async |headers: &[(&str, &str)], body: &str| {
        world.client().send(request(Method::POST, "/v1/chat/completions", headers, body.to_owned())).await
    };
    for body in [
        with_messages(r#"[{"role":"user"}]"#),
        with_messages(r#"[{"role":"user","content":null}]"#),
        with_messages(r#"[{"role":"developer","content":"a\u0000b"},{"role":"user","content":"hi"}]"#),
        with(HAIKU, r#", "max_tokens":5, "max_completion_tokens":6"#),
        with(HAIKU, r#", "max_tokens":5, "unheard_of":{"a":[1,2]}"#),
        with(HAIKU, r#", "max_tokens":5, "n":null, "stream":null, "tools":null, "stream_options":null"#),
        with(HAIKU, r#", "max_tokens":5, "service_tier":"auto", "usage":{"include":true}, "store":false"#),
        format!("\r\n\t {} \n", with(HAIKU, r#", "max_tokens":5"#)),
    ] {
        let answer = post(&[("authorization", &bearer)], &body).await;
        let shown: String = body.chars().take(200).collect();
        assert_eq!(answer.status, 200, "{shown}: {}", answer.text());
    }
    let body = with(HAIKU, r#", "max_tokens":5"#);
    assert_eq!(post(&[("authorization", &lower_case)], &body).await.status, 200);
    assert_eq!(post(&[("authorization", &bearer), ("content-type", "text/plain")], &body).await.status, 200);
    assert_eq!(post(&[("authorization", &bearer), ("content-encoding", "identity")], &body).await.status, 200);
    // A limit that nobody named is filled in, and the client is told.
    let answer = post(&[("authorization", &bearer)], &with(HAIKU, "")).await;
    let filled: u64 =
        answer.header("x-layers-max-tokens-filled").and_then(|limit| limit.parse().ok()).expect("a limit");
    assert!((4_096..=64_000).contains(&filled), "{filled}");

    // What only the provider can judge is passed on to it, and its refusal costs nothing.
    let unknown_wish: Value = super::system_kit::chat(HAIKU, 5, "no_such_wish=1");
    let answer = world.ask(&account.key, &unknown_wish).await;
    assert_eq!((answer.status, &answer.error()["type"]), (400, &"invalid_request_error".into()), "{}", answer.text());
    assert_eq!(world.usage_log(&answer.request_id()).await["credits_used"], "0");
    world.close().await;
}
