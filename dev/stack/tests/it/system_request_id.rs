//! Every response has an id of its own; the same id stands in the events, in the table, and in the provider's bill.

use std::collections::HashSet;

use hyper::Method;

use super::system_kit::{HAIKU, World, chat, request, streamed};

#[tokio::test(flavor = "multi_thread")]
async fn every_response_has_the_id_that_the_books_have() {
    let world = World::start();
    let account = world.account("team", "1");
    let bearer = format!("Bearer {}", account.key);
    let mine = ("x-request-id", "my-own-id");
    let body = chat(HAIKU, 10, "").to_string();
    let mut ids = HashSet::new();
    let mut charged = HashSet::new();
    for (status, method, path, authorization, body) in [
        (200, Method::POST, "/v1/chat/completions", Some(&bearer), body.clone()),
        (200, Method::POST, "/chat/completions", Some(&bearer), streamed(chat(HAIKU, 10, "")).to_string()),
        (502, Method::POST, "/v1/chat/completions", Some(&bearer), chat(HAIKU, 10, "status=500").to_string()),
        (402, Method::POST, "/v1/chat/completions", Some(&bearer), chat(HAIKU, 1_000_000, "").to_string()),
        (404, Method::POST, "/v1/chat/completions", Some(&bearer), chat("openai/gpt-17", 10, "").to_string()),
        (400, Method::POST, "/v1/chat/completions", Some(&bearer), "{".to_owned()),
        (401, Method::POST, "/v1/chat/completions", None, body.clone()),
        (405, Method::GET, "/v1/chat/completions", Some(&bearer), String::new()),
        (405, Method::POST, "/v1/models", Some(&bearer), String::new()),
        (404, Method::POST, "/v1/nope", Some(&bearer), String::new()),
        (404, Method::GET, "/", None, String::new()),
        (404, Method::GET, "/v1/chat/completions/", None, String::new()),
        (200, Method::GET, "/v1/models", Some(&bearer), String::new()),
        (200, Method::GET, "/health", None, String::new()),
        (200, Method::GET, "/metrics", None, String::new()),
    ] {
        let what = format!("{method} {path} {body}");
        let mut headers = vec![mine];
        headers.extend(authorization.map(|bearer| ("authorization", bearer.as_str())));
        let answer = world.client().send(request(method, path, &headers, body)).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        let id = answer.request_id();
        assert!(is_uuid_v7(&id), "{what}: {id}");
        assert!(ids.insert(id.clone()), "{what}: an id of its own");
        if status >= 400 {
            answer.error();
        }
        let is_in_the_books = status == 200 && path.contains("chat") || status == 502;
        if is_in_the_books {
            charged.insert(id);
        }
    }

    world.quiet().await;
    let of = |rows: Vec<serde_json::Value>| -> HashSet<String> {
        rows.iter().filter_map(|row| row["request_id"].as_str().map(str::to_owned)).collect()
    };
    let events = world.rows("select distinct request_id from ledger.events where request_id is not null").await;
    assert_eq!(of(events), charged, "the ids in the events");
    assert_eq!(of(world.usage_logs().await), charged, "the ids in the table");
    assert_eq!(world.bill().keys().cloned().collect::<HashSet<_>>(), charged, "the ids in the provider's bill");
    world.close().await;
}

fn is_uuid_v7(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let hexadecimal = parts.concat().bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    hexadecimal && parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts[2].starts_with('7')
}
