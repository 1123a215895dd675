//! Read your writes: what is written says where it stands, and who reads from there on sees it, however far behind the read
//! models are.

use hyper::Method;
use serde_json::{Value, json};

use super::system_kit::{Answer, World, request, worked_example};

async fn add(world: &World, account_id: &str, credits: &str, reference: &str) -> u64 {
    let authorization = format!("Bearer {}", world.stack.admin_key());
    let path = format!("/admin/v1/accounts/{account_id}/credits");
    let body = json!({ "credits": credits, "reference": reference }).to_string();
    let answer = world.client().send(request(Method::POST, &path, &[("authorization", &authorization)], body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let position = position(&answer);
    assert_eq!(answer.json()["position"], position);
    position
}

fn position(answer: &Answer) -> u64 {
    let told = answer.header("x-layers-position").expect("the answer has a position");
    told.parse().expect("a position is a number")
}

fn balance(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["balance"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_from_a_position_on_sees_what_was_written_there() {
    let world = World::start();
    let account = world.account("bench", "10");
    let (client, key) = (world.client(), Some(account.key.as_str()));
    for round in 1..=20 {
        let written = add(&world, &account.account_id, "1", &format!("payment-{round}")).await;
        let read = client.get(&format!("/v1/credits?min_position={written}"), key).await;
        assert_eq!(balance(&read), (10 + round).to_string());
        assert!(position(&read) >= written && read.json()["position"] == position(&read), "{}", read.text());
    }
    // A paid request's position is told by what waits for its events.
    let paid = world.ask(&account.key, &worked_example("")).await;
    let generation = client.get(&format!("/v1/generation?id={}", paid.request_id()), key).await;
    let receipt = client.get(&format!("/v1/receipts/{}", paid.request_id()), key).await;
    let charged = position(&generation);
    assert!(position(&receipt) >= charged);
    for (path, told) in [("key", "\"3.36\""), ("usage?group_by=day", "\"3.36\""), ("credits", "\"26.64\"")] {
        let path = format!("/v1/{path}{}min_position={charged}", if path.contains('?') { '&' } else { '?' });
        let read = client.get(&path, key).await;
        assert!(position(&read) >= charged && read.text().contains(told), "{path}: {}", read.text());
    }
    for path in ["subscription", "usage"] {
        let read = client.get(&format!("/v1/dashboard/billing/{path}?min_position={charged}"), key).await;
        assert!(read.status == 200 && position(&read) >= charged, "{path}: {}", read.text());
    }

    // While the projector hangs, nothing newer is shown, and it is said when to come again.
    world.stack.projector().pause();
    let written = add(&world, &account.account_id, "1", "while it hangs").await;
    let path = format!("/v1/credits?min_position={written}");
    let early = client.get(&path, key).await;
    assert_eq!((early.status, early.code().as_str()), (503, "not_yet_available"), "{}", early.text());
    assert_eq!(early.header("retry-after"), Some("1"));
    assert_eq!(balance(&client.get("/v1/credits", key).await), "26.64", "without it, what there is is shown");
    world.stack.projector().resume();
    let later = world
        .until("the projector catches up", async || {
            let answer = client.get(&path, key).await;
            (answer.status != 503).then_some(answer)
        })
        .await;
    assert_eq!(balance(&later), "27.64");

    for (asked, status, code) in [
        ("18446744073709551615", 503, "not_yet_available"),
        ("99999999999999999999999", 503, "not_yet_available"),
        ("-1", 400, "invalid_value"),
        ("soon", 400, "invalid_value"),
    ] {
        let answer = client.get(&format!("/v1/credits?min_position={asked}"), key).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{asked}");
    }
    world.close().await;
}
