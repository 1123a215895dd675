//! The console over plain HTTP: what its answers say to browsers, whose cookies are believed, whose forms are taken.

use std::net::Ipv4Addr;

use hyper::Method;
use sqlx::Connection;
use stack::local::{Account, StackOptions};
use tokio::task::JoinSet;

use super::system_kit::{Answer, Client, World, blocking, request, worked_example};

/// From a page of the gateway itself, as a browser says it.
const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

async fn get(client: &Client, path: &str, cookie: &str) -> Answer {
    client.send(request(Method::GET, &format!("/console{path}"), &[("cookie", cookie)], "")).await
}

async fn post(client: &Client, path: &str, headers: &[(&str, &str)], form: &str) -> Answer {
    client.send(request(Method::POST, &format!("/console{path}"), headers, form.to_owned())).await
}

async fn sign_in(client: &Client, key: &str) -> Answer {
    post(client, "/sign-in", &[SAME_ORIGIN], &format!("key={key}")).await
}

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie is set");
    set.split(';').next().expect("a cookie").to_owned()
}

async fn session(client: &Client, key: &str) -> String {
    let answer = sign_in(client, key).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/console")), "{}", answer.text());
    cookie(&answer)
}

/// The token of the forms on a page.
fn token(page: &Answer) -> String {
    let text = page.text();
    let token = text.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    token.unwrap_or_else(|| panic!("no form in {text}")).to_owned()
}

fn overview(account: &Account) -> String {
    format!("/accounts/{}", account.account_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_answers_tell_browsers_what_they_may_do() {
    let world = World::start();
    let account = world.account("team", "100");
    let client = world.client();
    let own = session(&client, &account.key).await;
    let page = get(&client, &overview(&account), &own).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let style = page.text().split("href=\"/console/assets/style-").nth(1).expect("a style")[..16].to_owned();
    let missing = get(&client, "/nope", &own).await;
    assert_eq!(missing.status, 404);
    let outside = get(&client, &overview(&account), "").await;
    assert_eq!((outside.status, outside.header("location")), (303, Some("/console/sign-in")));
    let asset = get(&client, &format!("/assets/style-{style}.css"), "").await;
    assert_eq!((asset.status, asset.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(get(&client, "/assets/style-0000000000000000.css", "").await.status, 404);
    for answer in [&page, &missing, &outside, &asset, &get(&client, "/sign-in", "").await] {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'self'"), "{policy}");
        for (name, value) in
            [("x-frame-options", "DENY"), ("referrer-policy", "same-origin"), ("x-content-type-options", "nosniff")]
        {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert!(answer.header("access-control-allow-origin").is_none());
        assert!(!answer.text().contains("<script") && !answer.text().contains(" style=\""), "{}", answer.text());
    }
    for answer in [&page, &missing, &outside] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // Nothing that is asked for by address is shown as it came.
    let typed = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        format!("{}/requests?model={typed}", overview(&account)),
        format!("{}/requests?key={typed}", overview(&account)),
        format!("{}?from={typed}", overview(&account)),
        format!("/{typed}"),
    ] {
        let answer = get(&client, &path, &own).await;
        assert!(answer.status < 500 && !answer.text().contains("<script"), "{path}: {}", answer.text());
    }
    // A method that is not there is no way in.
    assert_eq!(get(&client, "/sign-out", &own).await.status, 404);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_sessions_are_sealed_and_end_with_their_key() {
    let options = StackOptions {
        gateways: 2,
        env: vec![("LAYERS_CONSOLE_SESSION_SECONDS".to_owned(), "600".to_owned())],
        ..StackOptions::default()
    };
    let world = World::start_with(options);
    let account = world.account("team", "100");
    let other = world.account("team", "100");
    let (client, second) = (world.client(), world.client_of(1));
    let answer = sign_in(&client, &account.key).await;
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    for part in ["; Path=/console;", "; Max-Age=600;", "; HttpOnly;", "; SameSite=Strict"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "this is plain HTTP: {set}");
    let own = cookie(&answer);
    // All gateways know it; it opens its own account and no other.
    for gateway in [&client, &second] {
        assert_eq!(get(gateway, &overview(&account), &own).await.status, 200);
        assert_eq!(get(gateway, &overview(&other), &own).await.status, 404);
        assert_eq!(get(gateway, "/accounts", &own).await.status, 404);
    }
    // It is no key, and a key is no cookie.
    let value = own.split_once('=').expect("a cookie").1;
    assert_eq!(client.get("/v1/credits", Some(value)).await.status, 401);
    assert_eq!(get(&client, &overview(&account), &format!("layers_console={}", account.key)).await.status, 303);
    assert_eq!(
        get(&client, &overview(&account), &format!("layers_console={}", world.stack.admin_key())).await.status,
        303
    );

    // Another's words under one's own seal, and every letter changed.
    let others = session(&client, &other.key).await;
    let (said, _) = others.split_once('.').expect("a seal");
    let (_, seal) = own.split_once('.').expect("a seal");
    let mut forged =
        vec![format!("{said}.{seal}"), format!("{own}A"), own.replace('.', ""), own[..own.len() - 1].to_owned()];
    let start = own.find('=').expect("a value") + 1;
    forged.extend((start..own.len()).step_by(7).map(|index| {
        let letter = if own.as_bytes()[index] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &own[..index], &own[index + 1..])
    }));
    for cookie in forged {
        for account in [&account, &other] {
            let answer = get(&client, &overview(account), &cookie).await;
            assert_eq!((answer.status, answer.header("location")), (303, Some("/console/sign-in?over=1")), "{cookie}");
        }
    }

    // Signed out, a copy of the cookie is worth nothing at this gateway.
    let page = get(&client, &overview(&other), &others).await;
    let out = post(&client, "/sign-out", &[SAME_ORIGIN, ("cookie", &others)], &format!("token={}", token(&page))).await;
    assert_eq!((out.status, out.header("clear-site-data")), (303, Some("\"cache\"")));
    assert!(
        out.header("set-cookie").is_some_and(|set| set.starts_with("layers_console=;") && set.contains("Max-Age=0"))
    );
    assert_eq!(get(&client, &overview(&other), &others).await.status, 303);

    // The key is revoked: so is what it opened, at every gateway, at once.
    world.ledger(&["key", "revoke", &account.key]);
    for gateway in [&client, &second] {
        let answer = get(gateway, &overview(&account), &own).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some("/console/sign-in?over=1")));
        let again = sign_in(gateway, &account.key).await;
        assert!(again.status == 401 && again.text().contains("This key was revoked."), "{}", again.text());
    }

    // No key was written down.
    for name in ["gateway-1", "gateway-2"] {
        let log = std::fs::read_to_string(world.stack.dir().join(format!("log/{name}.log"))).expect("a log");
        for key in [&account.key, &other.key, world.stack.admin_key()] {
            assert!(!log.contains(key), "{name} has written a key down");
        }
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_sessions_run_out() {
    let env = vec![("LAYERS_CONSOLE_SESSION_SECONDS".to_owned(), "2".to_owned())];
    let world = World::start_with(StackOptions { env, ..StackOptions::default() });
    let account = world.account("team", "100");
    let own = session(&world.client(), &account.key).await;
    assert_eq!(get(&world.client(), &overview(&account), &own).await.status, 200);
    world
        .until("the session is over", async || {
            let answer = get(&world.client(), &overview(&account), &own).await;
            (answer.header("location") == Some("/console/sign-in?over=1")).then_some(())
        })
        .await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_takes_forms_of_its_own_pages_only() {
    let world = World::start();
    let account = world.account("team", "100");
    let client = world.client();
    let operator = session(&client, world.stack.admin_key()).await;
    let owner = session(&client, &account.key).await;
    let keys = format!("{}/keys", overview(&account));
    let page = get(&client, &keys, &operator).await;
    let token = token(&page);
    let form = format!("name=forged&token={token}");
    let owners_token = self::token(&get(&client, &overview(&account), &owner).await);
    let host = world.stack.gateway_url(0);
    let keys_there = "select api_key_id from ledger.keys";
    let before = world.rows(keys_there).await;
    for (headers, form, status) in [
        (vec![("cookie", operator.as_str())], form.as_str(), 403),
        (vec![("cookie", &operator), ("sec-fetch-site", "cross-site")], &form, 403),
        (vec![("cookie", &operator), ("sec-fetch-site", "same-site")], &form, 403),
        (vec![("cookie", &operator), ("origin", "https://evil.example")], &form, 403),
        (vec![("cookie", &operator), ("origin", "null")], &form, 403),
        (vec![("cookie", &operator), SAME_ORIGIN], "name=forged", 403),
        (vec![("cookie", &operator), SAME_ORIGIN], &format!("name=forged&token={owners_token}"), 403),
        (vec![SAME_ORIGIN], &form, 303),
        // Who may not issue keys in the admin API may not here.
        (vec![("cookie", &owner), SAME_ORIGIN], &format!("name=forged&token={owners_token}"), 404),
    ] {
        let answer = post(&client, &keys, &headers, form).await;
        assert_eq!(answer.status, status, "{headers:?} {form}: {}", answer.text());
    }
    assert_eq!(world.rows(keys_there).await, before, "nothing was issued");
    let large = format!("key={}", "a".repeat(20_000));
    assert_eq!(post(&client, "/sign-in", &[SAME_ORIGIN], &large).await.status, 403, "larger than any form");
    for headers in [vec![], vec![("origin", "https://evil.example")]] {
        assert_eq!(post(&client, "/sign-in", &headers, &format!("key={}", account.key)).await.status, 403);
    }
    // An older browser names the origin.
    let answer =
        post(&client, &keys, &[("cookie", &operator), ("origin", &host)], &format!("name=good&token={token}")).await;
    assert!(answer.status == 200 && answer.text().contains("lyr_live_"), "{}", answer.text());
    // What makes no sense is said, and not done.
    for wrong in ["name=", "name=x&cap=much", "name=x&cap=0", "name=x&models=nobody/nothing"] {
        let answer =
            post(&client, &keys, &[("cookie", &operator), SAME_ORIGIN], &format!("{wrong}&token={token}")).await;
        assert!([400, 409].contains(&answer.status), "{wrong}: {} {}", answer.status, answer.text());
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_limits_wrong_keys_by_address() {
    let world = World::start();
    let account = world.account("team", "100");
    let from = |last: u8| world.client().from(Ipv4Addr::new(127, 0, 2, last));
    let (guesser, neighbour) = (from(1), from(2));
    session(&guesser, &account.sandbox_key).await;
    for _ in 0..30 {
        let answer = sign_in(&guesser, "lyr_live_guess").await;
        assert!(answer.status == 401 && answer.text().contains("No such key."), "{}", answer.text());
    }
    for key in ["lyr_live_guess", &account.key] {
        let answer = sign_in(&guesser, key).await;
        assert!(answer.status == 429 && answer.text().contains("Try again in a minute"), "{}", answer.text());
    }
    session(&guesser, &account.sandbox_key).await;
    session(&neighbour, &account.key).await;
    assert_eq!(guesser.get("/v1/credits", Some("lyr_live_guess")).await.status, 429, "the API counts the same");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_is_not_there_when_it_is_turned_off_and_opens_to_operators_where_their_api_is() {
    let off = StackOptions { env: vec![("LAYERS_CONSOLE".to_owned(), "off".to_owned())], ..StackOptions::default() };
    let world = World::start_with(off);
    for path in ["", "/sign-in", "/accounts"] {
        assert_eq!(get(&world.client(), path, "").await.code(), "unknown_url", "{path}");
    }
    world.close().await;

    let port = stack::port::free().expect("a port");
    let address = format!("127.0.0.1:{port}");
    let env = vec![("LAYERS_ADMIN_LISTEN".to_owned(), address.clone())];
    let world = World::start_with(StackOptions { env, ..StackOptions::default() });
    let account = world.account("team", "100");
    let shown = world.ask(&account.key, &worked_example("")).await;
    world.usage_log(&shown.request_id()).await;
    let (clients, operators) = (world.client(), Client::new(&address));
    assert_eq!(sign_in(&clients, world.stack.admin_key()).await.status, 401);
    let operator = session(&operators, world.stack.admin_key()).await;
    assert_eq!(get(&operators, "/accounts", &operator).await.status, 200);
    assert_eq!(get(&clients, "/accounts", &operator).await.status, 303, "not at the clients' port");
    let owner = session(&clients, &account.key).await;
    let page = get(&clients, &format!("{}/requests/{}", overview(&account), shown.request_id()), &owner).await;
    assert!(page.text().contains("Every proof leads to the signed log"), "{}", page.text());
    // With the ledger away nobody is signed out, and what cannot be known is said.
    blocking(|| world.stack.ledger().stop().expect("the ledger stops"));
    let answer = get(&clients, &format!("{}/keys", overview(&account)), &owner).await;
    assert!(answer.status == 503 && answer.text().contains("The ledger"), "{}", answer.text());
    assert_eq!(get(&clients, &overview(&account), &owner).await.status, 200, "the read models are there");
    blocking(|| world.stack.ledger().start().and_then(|()| world.stack.ledger().wait_ready()).expect("it starts"));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_console_that_cannot_read_says_so_in_time_and_holds_up_no_request() {
    let world = World::start();
    let account = world.account("team", "100");
    let own = session(&world.client(), &account.key).await;
    let page = overview(&account);
    assert_eq!(get(&world.client(), &page, &own).await.status, 200);
    // Somebody has locked what the pages read.
    let mut locker = sqlx::PgConnection::connect(&world.stack.database_url()).await.expect("the database is there");
    for sql in ["begin", "lock table read_models.credit_balances in access exclusive mode"] {
        sqlx::query(sql).execute(&mut locker).await.expect("the table is locked");
    }
    let mut looking = JoinSet::new();
    for _ in 0..8 {
        let (client, page, own) = (world.client(), page.clone(), own.clone());
        looking.spawn(async move { get(&client, &page, &own).await });
    }
    let asked = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(asked.status, 200, "{}", asked.text());
    let mut answers: Vec<Answer> = Vec::new();
    while let Some(done) = looking.try_join_next() {
        answers.push(done.expect("an answer"));
    }
    assert!(answers.len() < 8, "the request was answered while people still waited for their pages");
    answers.extend(looking.join_all().await);
    let told: Vec<String> = answers.iter().map(|answer| format!("{} {}", answer.status, answer.text())).collect();
    assert!(told.iter().all(|told| told.starts_with("503")), "{told:?}");
    for why in ["This took too long", "Too many people look at once"] {
        assert!(told.iter().any(|told| told.contains(why)), "{why}: {told:?}");
    }
    sqlx::query("rollback").execute(&mut locker).await.expect("the lock is gone");
    assert_eq!(get(&world.client(), &page, &own).await.status, 200);
    world.close().await;
}
