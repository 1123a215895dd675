//! 100 credits pay for exactly 29 requests of 3.36, however many ask at once, and 2.56 are left.

use std::pin::pin;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::system_kit::{Answer, SONNET, World, blocking, chat, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_credits_pay_for_twenty_nine_requests_and_no_more() {
    let world = World::start();
    // No write that would show less than nothing gets into the table.
    let never_below = "alter table read_models.credit_balances
        add check (held >= 0 and bought - charged - held >= 0)";
    blocking(|| world.stack.postgres().sql(never_below).expect("the constraint is added"));
    let account = world.account("team", "100");
    // Long enough that many holds are open at once.
    let request = worked_example("latency_ms=20");

    let paid = watched(&world, &account.account_id, async {
        let mut paid = 0;
        let mut at_once = JoinSet::new();
        for _ in 0..200 {
            let (client, key, request) = (world.client(), account.key.clone(), request.clone());
            at_once.spawn(async move { client.chat(&key, &request).await });
        }
        while let Some(answer) = at_once.join_next().await {
            paid += u32::from(is_paid(&answer.expect("a client ends")));
        }
        assert!(paid >= 20, "so many holds fit into 100 credits; {paid} were paid");
        while is_paid(&world.ask(&account.key, &request).await) {
            paid += 1;
        }
        paid
    })
    .await;

    assert_eq!(paid, 29);
    world.quiet().await;
    let balance = world.balance(&account.account_id).await;
    assert_eq!((&balance["balance"], &balance["held"]), (&"2.56".into(), &"0".into()));
    let logs = world.usage_logs().await;
    let charged = logs.iter().filter(|row| row["is_charged"] == true).count();
    assert_eq!((charged, world.bill().len()), (29, 29), "the provider counts the same");
    assert_eq!(world.bill_totals()[0]["cost_usd"], "0.609", "29 times $0.021");

    the_last_credits_can_be_spent(&world, &account.key, &request).await;
    world.close().await;
}

/// The refusal says what the rest pays for, and it does.
async fn the_last_credits_can_be_spent(world: &World, key: &str, request: &Value) {
    let refused = world.ask(key, request).await;
    let error = refused.error();
    assert_eq!(error["credits_available"], "2.56", "{error}");
    let affordable = error["affordable_max_tokens"].as_u64().expect("the rest pays for something");
    let with_limit = |limit: u64| {
        let mut smaller = request.clone();
        smaller["max_tokens"] = limit.into();
        smaller["messages"][1]["content"] = "simulate: prompt_tokens=1 completion_tokens=1".into();
        smaller
    };
    let too_much = world.ask(key, &with_limit(affordable + 30)).await;
    assert_eq!((too_much.status, too_much.code().as_str()), (402, "insufficient_credits"));
    let answer = world.ask(key, &with_limit(affordable)).await;
    assert_eq!(answer.status, 200, "{affordable} tokens are affordable: {}", answer.text());
    assert_eq!(answer.header("x-layers-cost-credits"), Some("0.00288"));
    let nothing = world.ask(key, &chat(SONNET, 10_000_000, "")).await;
    assert_eq!(nothing.code(), "insufficient_credits");
}

/// Whether it was paid for; if not, it was refused in the right words.
fn is_paid(answer: &Answer) -> bool {
    if answer.status == 200 {
        assert_eq!(answer.header("x-layers-cost-credits"), Some("3.36"));
        return true;
    }
    assert_eq!(answer.status, 402, "{}", answer.text());
    let error = answer.error();
    assert_eq!((&error["type"], &error["param"]), (&"insufficient_funds".into(), &Value::Null), "{error}");
    let amount = |name: &str| error[name].as_str().and_then(|credits| credits.parse::<f64>().ok());
    let needed = amount("credits_needed").expect("what is needed is said");
    let available = amount("credits_available").expect("what is available is said");
    assert!((3.36..5.44).contains(&needed) && available >= 0.0, "{error}");
    match error["code"].as_str() {
        Some("insufficient_credits") => {
            assert_eq!(answer.header("x-should-retry"), Some("false"), "asking again brings no credits");
            assert_eq!((answer.header("retry-after"), error.get("credits_held")), (None, None), "{error}");
            assert!(available < needed, "{error}");
        }
        Some("credits_held") => {
            let wait: u64 =
                answer.header("retry-after").and_then(|wait| wait.parse().ok()).expect("when to come again");
            assert!((1..=60).contains(&wait) && answer.header("x-should-retry").is_none(), "{wait}");
            assert!(amount("credits_held").is_some_and(|held| held > 0.0 && available + held >= needed), "{error}");
        }
        _ => panic!("{error}"),
    }
    false
}

/// Tells a story while looking at the account again and again: it is never below zero.
async fn watched<T>(world: &World, account_id: &str, story: impl Future<Output = T>) -> T {
    let mut story = pin!(story);
    let mut looks = 0;
    loop {
        tokio::select! {
            biased;
            told = &mut story => {
                assert!(looks > 0, "the account was watched");
                return told;
            }
            () = is_solvent(world, account_id) => looks += 1,
        }
    }
}

async fn is_solvent(world: &World, account_id: &str) {
    let seen = world
        .row(&format!(
            "select least(balance, held, available) >= 0 and balance = held + available and balance <= 100 as solvent,
                    balance, held, available
             from credit_balances where account_id = '{account_id}'"
        ))
        .await;
    assert_eq!(seen["solvent"], json!(true), "{seen}");
}
