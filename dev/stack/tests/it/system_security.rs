//! Who may ask from where, what browsers are told, how guesses are slowed down, and what never gets into a log.

use std::time::Duration;

use hyper::Method;
use serde_json::json;
use stack::local::StackOptions;

use super::system_kit::{Answer, HAIKU, World, chat, request, worked_example};

const WRONG: &str = "Bearer lyr_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// As many wrong keys as an address may send in a minute.
const MOST: usize = 30;

fn options(env: &[(&str, &str)]) -> StackOptions {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    StackOptions { env, ..StackOptions::default() }
}

async fn get(world: &World, headers: &[(&str, &str)]) -> Answer {
    world.client().send(request(Method::GET, "/v1/models", headers, "")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_are_slowed_down_by_address_and_nobody_is_locked_out_by_their_neighbours() {
    let world = World::start_with(options(&[("LAYERS_TRUSTED_PROXIES", "127.0.0.0/8")]));
    let account = world.account("team", "1");
    let good = format!("Bearer {}", account.key);
    let from = |address: &'static str| ("x-forwarded-for", address);
    assert_eq!(get(&world, &[("authorization", &good), from("1.2.3.4")]).await.status, 200);
    for _ in 0..MOST {
        assert_eq!(get(&world, &[("authorization", WRONG), from("6.6.6.6, 1.2.3.4")]).await.status, 401);
    }
    let refused = get(&world, &[("authorization", WRONG), from("1.2.3.4")]).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (429, "too_many_failed_authentications"),
        "{}",
        refused.text()
    );
    assert_eq!(refused.header("retry-after"), Some("60"));
    // The operator's key is guessed no faster.
    let admin = request(Method::GET, "/admin/v1/prices", &[("authorization", WRONG), from("1.2.3.4")], "");
    assert_eq!(world.client().send(admin).await.status, 429);
    let right = format!("Bearer {}", world.stack.admin_key());
    let admin = request(Method::GET, "/admin/v1/prices", &[("authorization", &right), from("1.2.3.4")], "");
    assert_eq!(world.client().send(admin).await.status, 200);
    // A key that is known to be good, and another address, are let in.
    assert_eq!(get(&world, &[("authorization", &good), from("1.2.3.4")]).await.status, 200);
    assert_eq!(get(&world, &[("authorization", WRONG), from("1.2.3.5")]).await.status, 401);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_who_may_ask_and_what_not_to_do_with_an_answer() {
    let world = World::start_with(options(&[("LAYERS_CORS_ORIGINS", "https://chat.example.com")]));
    let account = world.account("team", "1");
    let key = format!("Bearer {}", account.key);
    let (listed, other) = (("origin", "https://chat.example.com"), ("origin", "https://evil.example.com"));
    let preflight = ("access-control-request-method", "POST");
    let wanted = ("access-control-request-headers", "authorization,x-stainless-lang");

    let ask = async |path: &str, origin| {
        world.client().send(request(Method::OPTIONS, path, &[origin, preflight, wanted], "")).await
    };
    let answer = ask("/v1/chat/completions", listed).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://chat.example.com")));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,x-stainless-lang"));
    for (path, origin) in [("/v1/chat/completions", other), ("/admin/v1/accounts", listed)] {
        let answer = ask(path, origin).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, None), "{path}");
    }
    let answer = get(&world, &[("authorization", &key), listed]).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some("https://chat.example.com")));
    assert!(answer.header("access-control-expose-headers").is_some_and(|exposed| exposed.contains("x-request-id")));
    assert_eq!(get(&world, &[("authorization", &key), other]).await.header("access-control-allow-origin"), None);

    // Whatever is answered.
    for path in ["/v1/models", "/health", "/nope", "/admin/v1/prices"] {
        let answer = world.client().get(path, None).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert_eq!(answer.header("strict-transport-security"), None, "{path}: no TLS, no word of it");
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_in_is_not_waited_for() {
    let world = World::start_with(options(&[("LAYERS_BODY_SECONDS", "1")]));
    let account = world.account("team", "1");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n{{",
        account.key
    );
    let began = tokio::time::Instant::now();
    let heard = world.client().raw(head.as_bytes()).await;
    assert!(heard.starts_with("HTTP/1.1 408 ") && heard.contains("request_timeout"), "{heard}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_and_no_text_of_a_client_gets_into_a_log() {
    const PROMPT: &str = "the-clients-very-own-words";
    let debug = [("RUST_LOG", "debug"), ("LAYERS_UPSTREAM_SILENCE_SECONDS", "1")];
    let world = World::start_with(options(&debug));
    let account = world.account("team", "50");
    let other = "Bearer lyr_live_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB";
    // Everything that can fail, fails, with the client's words in it.
    for wishes in ["", "status=500", "status=401", "status=429", "cut_after=1", "malformed=1", "error_after=1"] {
        for streamed in [false, true] {
            let mut body = worked_example(wishes);
            body["stream"] = streamed.into();
            let messages = body["messages"].as_array_mut().expect("messages");
            messages.insert(0, json!({ "role": "system", "content": PROMPT }));
            body["user"] = PROMPT.into();
            let key = format!("Bearer {}", account.key);
            let asked = request(Method::POST, "/v1/chat/completions", &[("authorization", &key)], body.to_string());
            let mut stream = world.client().open(asked).await;
            while let Ok(true) = stream.try_more().await {}
        }
    }
    let mut broken = chat(HAIKU, 10, "").to_string();
    broken.push_str(PROMPT);
    for (authorization, body) in [
        (format!("Bearer {}", account.key), broken),
        (other.to_owned(), PROMPT.to_owned()),
        (format!("Bearer {}", world.stack.admin_key()), PROMPT.to_owned()),
    ] {
        let asked = request(Method::POST, "/v1/chat/completions", &[("authorization", &authorization)], body);
        assert!(world.client().send(asked).await.status >= 400);
    }
    let authorization = format!("Bearer {}", world.stack.admin_key());
    let accounts = format!("/admin/v1/accounts/{}/keys", account.account_id);
    let issue = json!({ "name": "logged?" }).to_string();
    let issued =
        world.client().send(request(Method::POST, &accounts, &[("authorization", &authorization)], issue)).await;
    let issued = issued.json()["key"].as_str().expect("a key").to_owned();

    let bill = world.bill();
    let different: Vec<_> = bill.keys().map(String::as_str).collect();
    let secrets = [
        PROMPT,
        &account.key,
        &account.sandbox_key,
        &issued,
        world.stack.admin_key(),
        "vck_simulated",
        &other["Bearer ".len()..],
        stack::local::TEST_SECRET,
    ];
    let mut lines = 0;
    for process in [world.stack.gateway(0), world.stack.ledger(), world.stack.projector()] {
        let log = std::fs::read_to_string(process.log()).expect("a log");
        for line in log.lines() {
            lines += 1;
            let shown = secrets.iter().find(|secret| line.contains(**secret));
            assert_eq!(shown, None, "{} logs it: {line}", process.name());
        }
    }
    assert!(lines > 100, "only {lines} lines were logged");
    world.close_but(&different).await;
}
