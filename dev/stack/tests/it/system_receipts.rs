//! Receipts: a customer gets proof of a charge at once, and checks it without us, with our program and with one that is
//! not ours; nobody else gets it. The public form of the log rebuilds what was signed.

use std::process::Stdio;

use serde_json::{Value, json};
use stack::place::{self, RunDir};
use stack::sdk;
use tokio::task::JoinSet;

use super::system_kit::{HAIKU, World, blocking, chat, streamed, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_is_proved_at_once_and_to_its_account_alone() {
    let world = World::start();
    let account = world.account("team", "100");
    let other = world.account("team", "100");
    let answer = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.request_id();
    let receipt = receipt(&world, &id, &account.key).await;
    assert_eq!((&receipt["complete"], &receipt["account_id"]), (&true.into(), &account.account_id.clone().into()));
    let (code, checked) = check(&world, &receipt);
    assert_eq!((code, &checked["ok"]), (0, &true.into()), "{checked}");
    assert_eq!(checked["charged"], answer.header("x-layers-cost-credits").expect("a cost"), "{checked}");
    assert_eq!((&checked["rated"], &checked["origin"]), (&checked["charged"], &"layers/local".into()), "{checked}");
    let types: Vec<_> = checked["events"].as_array().expect("events").iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["RequestAuthorized", "UsageRecorded", "CreditsDeducted"]);
    let stored = world.events_of(&id).await;
    let shown: Vec<Value> = events_in(&receipt).map(|event| serde_json::from_str(event).expect("JSON")).collect();
    assert_eq!(shown, stored, "the events as they are stored");

    // Others' requests, requests that never were, and what is no id look alike.
    let unknown = "0190b2a4-0000-7000-8000-000000000001";
    let mut answers = Vec::new();
    for (asked, key) in
        [(&*id, &other.key), (&id, &account.sandbox_key), (unknown, &account.key), ("nonsense", &account.key)]
    {
        let answer = world.client().get(&format!("/v1/receipts/{asked}"), Some(key)).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "receipt_not_found"), "{asked}");
        answers.push(answer.text());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(world.client().get(&format!("/v1/receipts/{id}"), None).await.status, 401);

    // A sandbox has receipts of its own, and what failed shows that nothing was charged.
    let failed = world.ask(&account.sandbox_key, &chat(HAIKU, 10, "status=500")).await;
    assert_eq!(failed.status, 502);
    let receipt = self::receipt(&world, &failed.request_id(), &account.sandbox_key).await;
    let (code, checked) = check(&world, &receipt);
    assert_eq!((code, &checked["complete"], &checked["charged"]), (0, &true.into(), &Value::Null), "{checked}");
    assert_eq!(receipt.get("prices"), None, "nothing was rated");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_runs_is_shown_as_far_as_it_is() {
    let world = World::start();
    let account = world.account("team", "100");
    let stream = world
        .open(&account.key, &streamed(chat(HAIKU, 100, "prompt_tokens=25 completion_tokens=50 chunks=5 chunk_ms=800")))
        .await;
    let id = stream.request_id();
    let during = receipt(&world, &id, &account.key).await;
    assert_eq!((&during["complete"], events_in(&during).count()), (&false.into(), 1), "{during}");
    let (code, checked) = check(&world, &during);
    assert_eq!((code, &checked["complete"], &checked["charged"]), (0, &false.into(), &Value::Null), "{checked}");
    stream.events().await;
    let after = receipt(&world, &id, &account.key).await;
    let (code, checked) = check(&world, &after);
    assert_eq!((code, &checked["complete"], &checked["charged"]), (0, &true.into(), &"0.044".into()), "{checked}");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sigstores_verifier_believes_receipts_and_no_changed_one_and_rebuilds_the_log() {
    let world = World::start();
    let account = world.account("team", "100");
    // More events than a tile has leaves.
    for _ in 0..9 {
        let mut asking = JoinSet::new();
        for _ in 0..10 {
            let (client, key) = (world.client(), account.key.clone());
            asking.spawn(async move { client.chat(&key, &chat(HAIKU, 10, "completion_tokens=5")).await.status });
        }
        assert!(asking.join_all().await.iter().all(|status| *status == 200));
    }
    world.quiet().await;
    let answer = world.ask(&account.key, &worked_example("")).await;
    let good = receipt(&world, &answer.request_id(), &account.key).await;
    let earlier = world.row("select request_id from usage_logs order by created_at limit 1").await;
    let earlier = receipt(&world, earlier["request_id"].as_str().expect("an id"), &account.key).await;
    let mut receipts = vec![good.clone(), earlier];
    let believed = receipts.len();
    receipts.extend(changed(&good));

    let seen = blocking(|| judge(&world, &receipts));
    let wrong = seen["wrong"].as_array().expect("a judgement of each");
    assert_eq!(wrong.len(), receipts.len());
    for (receipt, wrong) in receipts.iter().zip(wrong).take(believed) {
        assert_eq!(*wrong, Value::Null, "{receipt}");
        assert_eq!(check(&world, receipt).0, 0);
    }
    for (receipt, wrong) in receipts.iter().zip(wrong).skip(believed) {
        assert!(wrong.as_str().is_some_and(|wrong| wrong.starts_with("TLOG_")), "{wrong}: {receipt}");
        let (code, checked) = check(&world, receipt);
        assert_eq!((code, &checked["ok"]), (1, &false.into()), "{checked}");
    }

    let log = &seen["log"];
    assert!(log["size"].as_u64().expect("a size") > 256, "{log}");
    assert_eq!((&log["origin"], &log["root"]), (&"layers/local".into(), &log["rebuilt"]), "the leaves' tiles");
    assert_eq!(log["level_1_is_of_level_0"], true);
    for (position, leaf) in seen["leaves"][0].as_array().expect("leaves").iter().map(|pair| (&pair[0], &pair[1])) {
        let index = position.as_u64().expect("a position") as usize - 1;
        assert_eq!(log["leaves"][index], *leaf, "position {position} is in the public tile");
    }
    let header = |of: &str, name: &str| log[of][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("checkpoint_headers", "content-type"), "text/plain; charset=utf-8");
    assert_eq!(header("checkpoint_headers", "cache-control"), "public, max-age=1");
    assert_eq!(header("tile_headers", "content-type"), "application/octet-stream");
    assert_eq!(header("tile_headers", "cache-control"), "public, max-age=31536000, immutable");
    for path in
        ["tile/entries/000", "tile/0/999", "tile/0/999.p/1", "tile/1/000", "tile/0/0", "tile/64/000", "tile/0/000.p/0"]
    {
        let answer = world.client().get(&format!("/ledger/{path}"), None).await;
        assert_eq!((answer.status, answer.header("cache-control")), (404, Some("no-store")), "{path}");
    }
    world.close().await;
}

/// Receipts that someone would like to be true.
fn changed(good: &Value) -> Vec<Value> {
    let changes: [fn(&mut Value); 8] = [
        |r| {
            r["events"][1]["event"] =
                replaced(&r["events"][1]["event"], "\"output_tokens\":1000", "\"output_tokens\":100").into()
        },
        |r| r["events"][2]["event"] = replaced(&r["events"][2]["event"], "3.36", "0.36").into(),
        |r| r["events"][0]["position"] = (r["events"][0]["position"].as_u64().unwrap_or(0) - 1).into(),
        |r| r["events"][0]["proof"].as_array_mut().expect("a proof").swap(0, 1),
        |r| drop(r["events"][0]["proof"].as_array_mut().expect("a proof").pop()),
        |r| r["prices"]["event"] = replaced(&r["prices"]["event"], "6000", "5999").into(),
        |r| r["checkpoint"] = replaced(&r["checkpoint"], "layers/local\n", "layers/locaI\n").into(),
        |r| {
            let note = r["checkpoint"].as_str().expect("a note");
            let size = note.lines().nth(1).expect("a size").to_owned();
            r["checkpoint"] = note.replacen(&size, &format!("{size}0"), 1).into();
        },
    ];
    changes
        .iter()
        .map(|change| {
            let mut receipt = good.clone();
            change(&mut receipt);
            assert_ne!(receipt, *good, "something is changed");
            receipt
        })
        .collect()
}

fn replaced(text: &Value, from: &str, to: &str) -> String {
    let text = text.as_str().expect("a text");
    assert!(text.contains(from), "{from} is in {text}");
    text.replacen(from, to, 1)
}

async fn receipt(world: &World, id: &str, key: &str) -> Value {
    let answer = world.client().get(&format!("/v1/receipts/{id}"), Some(key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn events_in(receipt: &Value) -> impl Iterator<Item = &str> {
    receipt["events"].as_array().expect("events").iter().map(|proved| proved["event"].as_str().expect("a text"))
}

/// `ledger verify-receipt`, without any server: its exit code and what it says.
fn check(world: &World, receipt: &Value) -> (i32, Value) {
    let dir = RunDir::temporary("receipt").expect("a folder");
    let file = dir.path().join("receipt.json");
    std::fs::write(&file, receipt.to_string()).expect("the receipt is written");
    let output = blocking(|| {
        std::process::Command::new(place::program("ledger").expect("the ledger is built"))
            .args(["verify-receipt", file.to_str().expect("a path"), "--json"])
            .args(["--key", world.stack.checkpoint_verifier_key()])
            .env_clear()
            .output()
            .expect("the ledger's program runs")
    });
    let said = String::from_utf8_lossy(&output.stdout);
    let checked = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output.status.code().expect("an exit code"), checked)
}

/// What sigstore's verifier says.
fn judge(world: &World, receipts: &[Value]) -> Value {
    let dir = RunDir::temporary("receipts").expect("a folder");
    let file = dir.path().join("receipts.json");
    std::fs::write(&file, json!(receipts).to_string()).expect("the receipts are written");
    let script = place::checkout().join("dev/stack/sdk/receipts.mjs");
    let mut command = sdk::sigstore_script(&script).expect("sigstore's verifier is installed");
    command
        .env("RECEIPTS", &file)
        .env("VERIFIER_KEY", world.stack.checkpoint_verifier_key())
        .env("LOG_URL", format!("{}/ledger", world.stack.gateway_url(0)))
        .env("NO_PROXY", "127.0.0.1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command.spawn().and_then(std::process::Child::wait_with_output).expect("the script runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; {complaint}"))
}
