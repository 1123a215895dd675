//! 1,000 credits pay for exactly 297 requests of 3.36, however many gateways they are asked of, and 2.08 are left. What
//! one gateway has leased and does not use is recalled for another.

use std::time::Duration;

use serde_json::Value;
use stack::local::StackOptions;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::system_kit::{Answer, Client, World, worked_example};

/// Their holds are more than the account has, and so are their charges.
const AT_ONCE: usize = 400;
/// 297 times 3.36 is 997.92.
const AFFORDABLE: u32 = 297;
/// A lease rests 2.5 seconds before it goes back; the rest is the machine's load.
const IDLE_WITHIN: Duration = Duration::from_secs(12);
/// Requests that need a recall.
const RECALLS: usize = 24;
/// A gateway waits a quarter of a second for credits that are leased to another one; the rest is the machine's load.
const LONGEST_RECALL: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_spend_an_account_to_its_last_hold() {
    to_the_last_hold(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_gateways_spend_an_account_to_its_last_hold() {
    to_the_last_hold(4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_gateways_spend_an_account_to_its_last_hold() {
    to_the_last_hold(8).await;
}

async fn to_the_last_hold(gateways: usize) {
    let world = World::start_with(StackOptions { gateways, ..StackOptions::default() });
    let account = world.account("bench", "1000");
    let clients: Vec<Client> = (0..gateways).map(|gateway| world.client_of(gateway)).collect();
    // Long enough that many holds are open at once.
    let request = worked_example("latency_ms=20");

    let (at_once, refused) = from_all_sides(&clients, &account.key, &request).await;
    // A refusal for ever says that all who could be paid for were paid for.
    assert!(refused == 0 || at_once == AFFORDABLE, "{refused} were refused for ever, and {at_once} were paid");
    let (one_by_one, waits) = one_at_a_time(&clients, &account.key, &worked_example("")).await;
    assert_eq!(at_once + one_by_one, AFFORDABLE, "{at_once} at once and {one_by_one} one by one were paid");
    println!("{gateways} gateways: {at_once} at once, {one_by_one} one by one, {waits} times told to wait");
    for client in &clients {
        let error = client.chat(&account.key, &request).await.error();
        assert_eq!((&error["code"], &error["credits_available"]), (&"insufficient_credits".into(), &"2.08".into()));
    }
    all_is_given_back(&world, &account.account_id).await;
    let row = world.ledger_account(&account.account_id).await;
    assert_eq!((row["charged"].as_u64(), row["unleased"].as_u64()), (Some(997_920_000_000), Some(2_080_000_000)));

    a_small_account_is_spent_in_turn(&world, &clients).await;
    what_another_has_leased_is_recalled(&world, &clients).await;
    world.close().await;
}

/// How many of those who ask at once are paid for, and how many are told that there is not enough.
async fn from_all_sides(clients: &[Client], key: &str, request: &Value) -> (u32, u32) {
    let mut at_once = JoinSet::new();
    for client in clients.iter().cycle().take(AT_ONCE) {
        let (client, key, request) = (client.clone(), key.to_owned(), request.clone());
        at_once.spawn(async move { client.chat(&key, &request).await });
    }
    let (mut paid, mut refused) = (0, 0);
    while let Some(answer) = at_once.join_next().await {
        match judge(&answer.expect("a client ends")) {
            Judged::Paid => paid += 1,
            Judged::Insufficient => refused += 1,
            Judged::Wait(_) => {}
        }
    }
    (paid, refused)
}

/// Asks each gateway in turn, as patiently as it is told to, until the answer is that there is not enough. How many were
/// paid for, and how often an answer was to wait.
async fn one_at_a_time(clients: &[Client], key: &str, request: &Value) -> (u32, u32) {
    let (mut paid, mut waits) = (0, 0);
    for client in clients.iter().cycle() {
        loop {
            match judge(&client.chat(key, request).await) {
                Judged::Paid => paid += 1,
                Judged::Insufficient => return (paid, waits),
                Judged::Wait(pause) => {
                    waits += 1;
                    assert!(waits < 100, "told to wait again and again; {paid} were paid");
                    sleep(pause).await;
                    continue;
                }
            }
            break;
        }
    }
    unreachable!("the gateways are asked in turn until one refuses")
}

/// 100 credits, never asked for by two gateways at once: each finds what the others have leased.
async fn a_small_account_is_spent_in_turn(world: &World, clients: &[Client]) {
    let account = world.account("bench", "100");
    let since = Instant::now();
    let (paid, waits) = one_at_a_time(clients, &account.key, &worked_example("")).await;
    println!("{paid} in turn in {:?}, {waits} times told to wait", since.elapsed());
    assert_eq!(paid, 29, "29 times 3.36 is 97.44");
}

/// Nobody asks any longer: within seconds no gateway has anything of the account.
async fn all_is_given_back(world: &World, account_id: &str) {
    let since = Instant::now();
    world
        .within(IDLE_WITHIN, "idle leases go back", async || {
            let row = world.ledger_account(account_id).await;
            (row["leased"] == 0 && row["held"] == 0).then_some(())
        })
        .await;
    println!("idle leases were back after {:?}", since.elapsed());
}

/// Each request's hold is nearly the whole account, which the gateway that was asked before has leased.
async fn what_another_has_leased_is_recalled(world: &World, clients: &[Client]) {
    let account = world.account("bench", "40");
    let mut request = worked_example("");
    request["max_tokens"] = 15_000.into();
    request["messages"][1]["content"] = "simulate: prompt_tokens=1 completion_tokens=1".into();
    let before = recalls(world).await;
    let (mut took, mut waits) = (Vec::new(), 0);
    for client in clients.iter().cycle().take(RECALLS) {
        loop {
            let asked = Instant::now();
            let answer = client.chat(&account.key, &request).await;
            took.push(asked.elapsed());
            match answer.status {
                200 => break,
                402 if answer.code() == "credits_held" => waits += 1,
                _ => panic!("{}", answer.text()),
            }
            assert!(waits < 20, "told to wait again and again: {}", answer.text());
            sleep(retry_after(&answer)).await;
        }
    }
    let recalled = recalls(world).await - before;
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{recalled} recalls: a request took {median:?} at the median, {longest:?} at most; {waits} came again");
    assert!(recalled + 1 >= RECALLS as u64, "all but the first need a recall: {recalled} of {RECALLS}");
    assert!(longest < LONGEST_RECALL, "{took:?}");
    all_is_given_back(world, &account.account_id).await;
}

async fn recalls(world: &World) -> u64 {
    let text = Client::new(&world.stack.ledger_url()).get("/metrics", None).await.text();
    let line = text.lines().find_map(|line| line.strip_prefix("layers_ledger_recalls_total "));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("recalls are not among\n{text}"))
}

enum Judged {
    Paid,
    Insufficient,
    /// The credits are there, but not now.
    Wait(Duration),
}

fn judge(answer: &Answer) -> Judged {
    match answer.status {
        200 => {
            assert_eq!(answer.header("x-layers-cost-credits"), Some("3.36"));
            Judged::Paid
        }
        402 if answer.code() == "insufficient_credits" => {
            let error = answer.error();
            let amount = |name: &str| error[name].as_str().and_then(|credits| credits.parse::<f64>().ok());
            // A refusal for ever counts what is held too: with an open hold that may be released it is not for ever.
            let most =
                amount("credits_available").expect("what is available is said") + amount("credits_held").unwrap_or(0.0);
            assert!(most < amount("credits_needed").expect("what is needed is said"), "{error}");
            Judged::Insufficient
        }
        402 if answer.code() == "credits_held" => Judged::Wait(retry_after(answer)),
        503 => Judged::Wait(retry_after(answer)),
        _ => panic!("{}: {}", answer.status, answer.text()),
    }
}

fn retry_after(answer: &Answer) -> Duration {
    let seconds = answer.header("retry-after").and_then(|wait| wait.parse().ok());
    Duration::from_secs(seconds.unwrap_or_else(|| panic!("when to come again is said: {}", answer.text())))
}
