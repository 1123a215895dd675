//! The cases of bad input that OpenAI's API was probed with, by their numbers: the same status, type, code and param, and a
//! message that begins alike. Where we differ on purpose, the row says so.

use hyper::Method;
use serde_json::{Value, json};
use stack::local::StackOptions;

use super::system_kit::{HAIKU, World, chat, request};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const IMAGES: &str = "/v1/images/generations";
const FLUX: &str = "bfl/flux-2-pro";

const MISSING: &str = "missing_required_parameter";
const TYPE: &str = "invalid_type";
const VALUE: &str = "invalid_value";
const IMAGE_ERROR: &str = "image_generation_user_error";

struct Case {
    number: u32,
    path: &'static str,
    body: Value,
    status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    begins: &'static str,
}

/// A case of chat completions: the members of a good request that are replaced, or, with null, taken out.
fn of_chat(number: u32, members: Value, code: Option<&'static str>, param: &'static str, begins: &'static str) -> Case {
    let mut body = json!({ "model": HAIKU, "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] });
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    Case { number, path: CHAT, body, status: 400, kind: "invalid_request_error", code, param: Some(param), begins }
}

fn of_image(number: u32, members: Value, kind: &'static str, code: &'static str, param: &'static str) -> Case {
    let mut body = json!({ "model": FLUX, "prompt": "a circle" });
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    if members.get("prompt").is_none_or(|prompt| prompt != &Value::Null) || members.get("null").is_none() {
        body.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    }
    Case { number, path: IMAGES, body, status: 400, kind, code: Some(code), param: Some(param), begins: "" }
}

fn cases() -> Vec<Case> {
    let assistant = json!({ "role": "assistant", "tool_calls": [{ "id": "call_1", "type": "function", "function": { "name": "f", "arguments": "{}" } }] });
    let user = json!({ "role": "user", "content": "hi" });
    let many: Value = (0..17).map(|index| (index.to_string(), json!(""))).collect::<serde_json::Map<_, _>>().into();
    let messages = |messages: Value| json!({ "messages": messages });
    let message = |message: Value| json!({ "messages": [message] });
    let long_key = json!({ "metadata": { "k".repeat(65): "" } });
    let mut cases = vec![
        Case { param: None, ..of_chat(4, json!({ "model": null }), None, "", "you must provide a model parameter") },
        Case { param: None, ..of_chat(4, json!({ "model": "" }), None, "", "you must provide a model parameter") },
        Case {
            path: RESPONSES,
            body: json!({ "input": "hi" }),
            ..of_chat(5, json!({}), Some(MISSING), "model", "Missing required parameter: 'model'.")
        },
        Case { param: None, ..of_chat(6, json!({ "model": 7 }), None, "", "We could not parse the JSON body") },
        Case {
            status: 404,
            param: None,
            ..of_chat(
                7,
                json!({ "model": "x" }),
                Some("model_not_found"),
                "",
                "The model `x` does not exist or you do not have access to it.",
            )
        },
        of_chat(8, json!({ "messages": null }), Some(MISSING), "messages", "Missing required parameter: 'messages'."),
        of_chat(
            9,
            messages(json!([])),
            Some("empty_array"),
            "messages",
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
        ),
        of_chat(
            10,
            messages(json!("hi")),
            Some(TYPE),
            "messages",
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
        ),
        of_chat(11, messages(json!([7])), Some(TYPE), "messages[0]", "Invalid type for 'messages[0]'"),
        of_chat(
            12,
            message(json!({ "content": "x" })),
            Some(MISSING),
            "messages[0].role",
            "Missing required parameter: 'messages[0].role'.",
        ),
        of_chat(
            13,
            message(json!({ "role": "bogus" })),
            Some(VALUE),
            "messages[0].role",
            "Invalid value: 'bogus'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.",
        ),
        of_chat(
            15,
            message(json!({ "role": "user", "content": 7 })),
            Some(TYPE),
            "messages[0].content",
            "Invalid type for 'messages[0].content': expected one of a string or array of objects",
        ),
        of_chat(
            16,
            message(json!({ "role": "assistant", "tool_calls": [] })),
            Some("empty_array"),
            "messages[0].tool_calls",
            "Invalid 'messages[0].tool_calls': empty array",
        ),
        of_chat(
            18,
            json!({ "n": 0 }),
            Some("integer_below_min_value"),
            "n",
            "Invalid 'n': integer out of range. Expected a value >= 1, but got 0 instead.",
        ),
        // 19: what a model allows below the API's limit is for its provider to say.
        of_chat(
            19,
            json!({ "n": 129 }),
            Some("integer_above_max_value"),
            "n",
            "Invalid 'n': integer out of range. Expected a value <= 128",
        ),
        of_chat(
            20,
            json!({ "n": "2" }),
            Some(TYPE),
            "n",
            "Invalid type for 'n': expected an integer, but got a string",
        ),
        of_chat(
            21,
            json!({ "temperature": 2.5 }),
            Some("decimal_above_max_value"),
            "temperature",
            "Invalid 'temperature': decimal out of range. Expected a value <= 2, but got 2.5 instead.",
        ),
        of_chat(
            25,
            json!({ "max_completion_tokens": 0 }),
            Some("integer_below_min_value"),
            "max_completion_tokens",
            "Invalid 'max_completion_tokens'",
        ),
        of_chat(26, json!({ "frequency_penalty": 3 }), Some("decimal_above_max_value"), "frequency_penalty", ""),
        of_chat(26, json!({ "presence_penalty": -3 }), Some("decimal_below_min_value"), "presence_penalty", ""),
        of_chat(
            27,
            json!({ "top_logprobs": 3 }),
            None,
            "top_logprobs",
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.",
        ),
        of_chat(28, json!({ "response_format": {} }), Some(MISSING), "response_format.type", ""),
        of_chat(
            29,
            json!({ "response_format": { "type": "bogus" } }),
            Some(VALUE),
            "response_format.type",
            "Invalid value: 'bogus'. Supported values are: 'json_object', 'json_schema', and 'text'.",
        ),
        of_chat(
            30,
            json!({ "response_format": { "type": "json_schema" } }),
            Some(MISSING),
            "response_format.json_schema",
            "",
        ),
        of_chat(
            30,
            json!({ "response_format": { "type": "json_schema", "json_schema": {} } }),
            Some(MISSING),
            "response_format.json_schema.name",
            "",
        ),
        of_chat(
            31,
            json!({ "response_format": { "type": "json_object" } }),
            None,
            "messages",
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        ),
        Case {
            path: RESPONSES,
            body: json!({ "model": HAIKU, "input": "hi", "text": { "format": { "type": "json_object" } } }),
            ..of_chat(32, json!({}), None, "text.format", "Response input messages must contain the word 'json'")
        },
        of_chat(
            33,
            json!({ "stream": true, "stream_options": { "bogus": 1 } }),
            Some("unknown_parameter"),
            "stream_options.bogus",
            "Unknown parameter: 'stream_options.bogus'.",
        ),
        of_chat(34, json!({ "stream_options": {} }), None, "stream_options", ""),
        Case {
            path: RESPONSES,
            body: json!({ "model": HAIKU, "input": "hi", "stream": true, "stream_options": { "include_usage": true } }),
            ..of_chat(
                35,
                json!({}),
                Some("unknown_parameter"),
                "stream_options.include_usage",
                "Unknown parameter: 'stream_options.include_usage'.",
            )
        },
        of_chat(36, json!({ "metadata": many }), Some("object_above_max_properties"), "metadata", ""),
        of_chat(37, json!({ "metadata": { "a": "x".repeat(513) } }), Some("string_above_max_length"), "metadata.a", ""),
        of_chat(37, long_key, Some("property_name_above_max_length"), "metadata", ""),
        of_chat(37, json!({ "metadata": { "a": 7 } }), Some(TYPE), "metadata.a", ""),
        of_chat(38, json!({ "reasoning_effort": "bogus" }), Some("unsupported_value"), "reasoning_effort", ""),
        of_chat(39, json!({ "service_tier": "bogus" }), Some(VALUE), "service_tier", ""),
        of_chat(40, json!({ "verbosity": "bogus" }), Some(VALUE), "verbosity", ""),
        of_chat(41, json!({ "tools": [{}] }), Some(MISSING), "tools[0].function", ""),
        of_chat(
            41,
            json!({ "tools": [{ "type": "function", "function": {} }] }),
            Some(MISSING),
            "tools[0].function.name",
            "",
        ),
        of_chat(42, json!({ "tool_choice": "bogus" }), Some(VALUE), "tool_choice", ""),
        of_chat(42, json!({ "tool_choice": { "type": "bogus" } }), Some(MISSING), "tool_choice.function", ""),
        of_chat(42, json!({ "tool_choice": 7 }), Some(TYPE), "tool_choice", ""),
        of_chat(
            43,
            messages(json!([user, { "role": "tool", "tool_call_id": "call_1", "content": "x" }])),
            None,
            "messages.[1].role",
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
        ),
        of_chat(
            44,
            messages(json!([user, assistant, user])),
            None,
            "messages.[2].role",
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
        ),
        of_chat(54, json!({ "stream": "yes" }), Some(TYPE), "stream", ""),
        of_image(47, json!({ "model": null }), "invalid_request_error", MISSING, "model"),
        of_image(48, json!({ "model": "X" }), IMAGE_ERROR, VALUE, "model"),
        of_image(49, json!({ "prompt": null }), "invalid_request_error", MISSING, "prompt"),
        of_image(49, json!({ "prompt": null, "null": 1 }), "invalid_request_error", TYPE, "prompt"),
        of_image(49, json!({ "prompt": "" }), "invalid_request_error", "empty_string", "prompt"),
        of_image(50, json!({ "n": 0 }), "invalid_request_error", "integer_below_min_value", "n"),
        of_image(50, json!({ "n": 11 }), "invalid_request_error", "integer_above_max_value", "n"),
        of_image(50, json!({ "n": 1.5 }), "invalid_request_error", TYPE, "n"),
        of_image(51, json!({ "size": "bogus" }), IMAGE_ERROR, VALUE, "size"),
        of_image(51, json!({ "size": "9x9" }), IMAGE_ERROR, VALUE, "size"),
        of_image(52, json!({ "quality": "ultra" }), "invalid_request_error", VALUE, "quality"),
    ];
    for input in [json!(""), json!(["a", ""]), json!([])] {
        let body = json!({ "model": "openai/text-embedding-3-small", "input": input });
        cases.push(Case {
            path: "/v1/embeddings",
            body,
            param: None,
            ..of_chat(46, json!({}), None, "", "'$.input' is invalid. Please check the API reference:")
        });
    }
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn each_case_of_bad_input_is_refused_as_openai_refuses_it() {
    let world = World::start();
    let account = world.account("bench", "10");
    let client = world.client();
    for case in cases() {
        let number = case.number;
        let answer = client.post(case.path, &account.key, &case.body).await;
        let error = answer.error();
        let seen = (answer.status, error["type"].as_str(), error["code"].as_str(), error["param"].as_str());
        assert_eq!(
            seen,
            (case.status, Some(case.kind), case.code, case.param),
            "{number}: {} gives {error}",
            case.body
        );
        assert!(error["message"].as_str().is_some_and(|text| text.starts_with(case.begins)), "{number}: {error}");
    }
    // 1, 2, 3: without a key, with a wrong one, and what is no JSON.
    let good = chat(HAIKU, 5, "").to_string();
    let bearer = format!("Bearer {}", account.key);
    for (number, headers, body, status, code, begins) in [
        (1, &[][..], &*good, 401, None, "You didn't provide an API key."),
        (
            2,
            &[("authorization", "Bearer sk-abcdefghijklmnopqrstuvwxyz")],
            &good,
            401,
            Some("invalid_api_key"),
            "Incorrect API key provided: ",
        ),
        (
            3,
            &[("authorization", &*bearer)],
            "{\"model\":",
            400,
            None,
            "We could not parse the JSON body of your request. (HINT: ",
        ),
    ] {
        let answer = client.send(request(Method::POST, CHAT, headers, body.to_owned())).await;
        let error = answer.error();
        assert_eq!(
            (answer.status, error["code"].as_str(), &error["param"]),
            (status, code, &Value::Null),
            "{number}: {error}"
        );
        assert!(error["message"].as_str().is_some_and(|text| text.starts_with(begins)), "{number}: {error}");
    }
    // 55, 56, 57: routes and models that are not there.
    for (number, method, path, status, code) in [
        (55, Method::POST, "/v1/models", 405, None),
        (56, Method::POST, "/v1/nope", 404, Some("unknown_url")),
        (57, Method::GET, "/v1/models/nope", 404, Some("model_not_found")),
    ] {
        let answer = client.send(request(method, path, &[("authorization", &bearer)], "")).await;
        assert_eq!((answer.status, answer.error()["code"].as_str()), (status, code), "{number}: {}", answer.text());
    }
    assert!(world.bill().is_empty(), "no provider was asked");
    // 58: an account that cannot pay gets 402, as at Vercel and OpenRouter; OpenAI's 429 would be tried again and again.
    let poor = world.account("bench", "0.001");
    let answer = client.chat(&poor.key, &chat(HAIKU, 5, "")).await;
    assert_eq!((answer.status, &answer.error()["type"]), (402, &"insufficient_funds".into()));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    // 45: what only the provider can count, it says itself.
    let answer = client.chat(&account.key, &chat(HAIKU, 5, "prompt_tokens=300000")).await;
    let error = answer.error();
    assert_eq!(
        (answer.status, error["code"].as_str(), error["param"].as_str()),
        (400, Some("context_length_exceeded"), Some("messages")),
        "{error}"
    );
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("This model's maximum context length is 200000 tokens."))
    );
    // 14, 17, 53: what OpenAI takes, or we do for the clients' sake.
    for (number, path, body) in [
        (14, CHAT, json!({ "model": HAIKU, "max_tokens": 5, "messages": [{ "role": "user" }] })),
        (
            17,
            CHAT,
            json!({ "model": HAIKU, "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }], "unheard_of": 1 }),
        ),
        (53, IMAGES, json!({ "model": FLUX, "prompt": "   ", "response_format": "b64_json", "style": "vivid" })),
    ] {
        let answer = client.post(path, &account.key, &body).await;
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    }
    world.close().await;
}

/// Limits that are settings: messages by tier, and patience with slow bodies.
#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_set_are_kept_and_said() {
    let env = [("LAYERS_MESSAGE_LIMITS", "free=2x20"), ("LAYERS_BODY_SECONDS", "1")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let world = World::start_with(StackOptions { env, ..StackOptions::default() });
    let (free, team) = (world.account("free", "10"), world.account("team", "10"));
    let client = world.client();
    let with = |messages: Value| json!({ "model": HAIKU, "max_tokens": 5, "messages": messages });
    let hi = json!({ "role": "user", "content": "hi" });
    let many = with(json!([hi, hi, hi]));
    let long = with(json!([hi, { "role": "user", "content": "x".repeat(100) }]));
    for (body, code, param) in
        [(&many, "array_above_max_length", "messages"), (&long, "string_above_max_length", "messages[1].content")]
    {
        let answer = client.chat(&free.key, body).await;
        let error = answer.error();
        assert_eq!(
            (answer.status, error["code"].as_str(), error["param"].as_str()),
            (400, Some(code), Some(param)),
            "{error}"
        );
        assert_eq!(client.chat(&team.key, body).await.status, 200, "another plan has no such limit");
    }
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{\"model\":",
        free.key
    );
    let heard = client.raw(head.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 408 ") && heard.contains("request_timeout"), "{heard}");
    world.close().await;
}
