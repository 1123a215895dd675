//! Sandbox and live traffic never meet; the test mode lets a request in without a key, and never in production.

use std::process::Command;
use std::time::{Duration, Instant};

use hyper::Method;
use stack::local::{StackOptions, TEST_SECRET};
use stack::{place, port};

use super::system_kit::{Answer, World, request, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_key_spends_test_credits_at_the_simulator() {
    let world = World::start_with_live_provider();
    let account = world.account("team", "10");
    let live = world.ask(&account.key, &worked_example("")).await;
    let test = world.ask(&account.sandbox_key, &worked_example("")).await;
    world.quiet().await;
    for (answer, account_id, livemode, upstream) in
        [(&live, &account.account_id, true, "ai-gateway"), (&test, &account.sandbox_account_id, false, "simulator")]
    {
        assert_eq!((answer.status, answer.header("x-layers-cost-credits")), (200, Some("3.36")), "{}", answer.text());
        let row = world.usage_log(&answer.request_id()).await;
        assert_eq!((&row["account_id"], &row["livemode"]), (&account_id.as_str().into(), &livemode.into()), "{row}");
        assert_eq!(row["upstream"], upstream, "{row}");
        let balance = world.balance(account_id).await;
        assert_eq!((&balance["charged"], &balance["livemode"]), (&"3.36".into(), &livemode.into()), "{balance}");
    }
    assert_eq!(world.balance(&account.sandbox_account_id).await["balance"], "999996.64");
    let asked = |simulator: &stack::program::Simulator| {
        let bill = simulator.bill_by_request().expect("the provider tells its bill");
        bill.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(asked(world.live_provider()), [live.request_id()], "only live traffic costs money");
    assert_eq!(asked(world.stack.simulator()), [test.request_id()]);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_secret_lets_a_request_in_without_a_key() {
    let world = World::start_with_live_provider();
    let ask = async |headers: &[(&str, &str)]| -> Answer {
        let body = worked_example("").to_string();
        world.client().send(request(Method::POST, "/v1/chat/completions", headers, body)).await
    };
    let answer = ask(&[("x-layers-test-mode", TEST_SECRET)]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let row = world.usage_log(&answer.request_id()).await;
    assert_eq!((&row["livemode"], &row["upstream"]), (&false.into(), &"simulator".into()), "{row}");
    assert!(row["api_key_id"].is_null() && row["credits_used"] == "3.36", "{row}");
    let again = ask(&[("X-Layers-Test-Mode", TEST_SECRET)]).await;
    let again = world.usage_log(&again.request_id()).await;
    assert_eq!(again["account_id"], row["account_id"], "the built-in account is opened once");

    let capitals = TEST_SECRET.to_uppercase();
    for secret in ["", "layers", &TEST_SECRET[1..], &capitals] {
        let answer = ask(&[("x-layers-test-mode", secret)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "none"), "'{secret}': {}", answer.text());
    }
    // A key says who pays, with the secret beside it or not.
    let account = world.account("team", "10");
    let bearer = format!("Bearer {}", account.key);
    let answer = ask(&[("x-layers-test-mode", TEST_SECRET), ("authorization", &bearer)]).await;
    assert_eq!(world.usage_log(&answer.request_id()).await["account_id"], *account.account_id);
    let answer = ask(&[("x-layers-test-mode", TEST_SECRET), ("authorization", "Bearer lyr_live_x")]).await;
    assert_eq!(answer.status, 401, "a bad key is not made good by the secret");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_secret_is_set_none_is_right() {
    let unset = ("LAYERS_TEST_SECRET".to_owned(), String::new());
    let world = World::start_with(StackOptions { env: vec![unset], ..StackOptions::default() });
    for secret in [TEST_SECRET, ""] {
        let answer =
            world.client().send(request(Method::GET, "/v1/models", &[("x-layers-test-mode", secret)], "")).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "none"), "'{secret}': {}", answer.text());
    }
    world.close().await;
}

#[test]
fn a_test_secret_in_production_is_no_start() {
    let port = port::free().expect("a free port");
    let begin = Instant::now();
    let output = Command::new(place::program("gateway").expect("the gateway is built"))
        .env("NATS_URL", "nats://127.0.0.1:1")
        .env("AI_GATEWAY_API_KEY", "vck_secret")
        .env("LAYERS_LISTEN", format!("127.0.0.1:{port}"))
        .env("LAYERS_ENV", "production")
        .env("LAYERS_TEST_SECRET", TEST_SECRET)
        .output()
        .expect("the gateway can be executed");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("LAYERS_TEST_SECRET") && said.contains("LAYERS_ENV=production"), "{said}");
    assert!(!said.contains(TEST_SECRET) && !said.contains("vck_secret"), "no secret is told: {said}");
    assert!(!said.contains("listening"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(5), "it ends at once, whoever else is there");
}
