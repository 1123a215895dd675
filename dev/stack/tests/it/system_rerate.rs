//! The same usage under other prices, and the compensation for it.

use std::path::Path;

use super::system_kit::{World, blocking, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn other_prices_are_compensated_once_and_the_balances_follow() {
    let world = World::start();
    let account = world.account("team", "10");
    for _ in 0..2 {
        assert_eq!(world.ask(&account.key, &worked_example("")).await.status, 200);
    }
    world.quiet().await;
    let head = world.row("select position from ledger.head").await["position"].to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prices.json");
    std::fs::write(&file, include_str!("../../../../schemas/models.json")).expect("a file");

    // 60 % become 30 %: twice 3.36 credits become twice 2.73.
    let cheaper = range(&file, "3000", &head);
    let seen = world.ledger(&cheaper);
    let line = &seen["lines"][0];
    assert_eq!((&line["account_id"], &line["requests"]), (&account.account_id.clone().into(), &2.into()), "{seen:#}");
    assert_eq!((&line["old"], &line["new"], &line["difference"]), (&"6.72".into(), &"5.46".into(), &"-1.26".into()));
    assert_eq!(world.balance(&account.account_id).await["balance"], "3.28", "looking moves nothing");

    let apply = [&cheaper[..], &["--apply", "--reason", "the discount of November"]].concat();
    for before in [false, true] {
        let done = world.ledger(&apply);
        let adjusted = &done["lines"][0]["adjusted"];
        assert_eq!((&adjusted["amount"], &adjusted["before"]), (&"1.26".into(), &before.into()), "{done:#}");
        world.projected().await;
        assert_eq!(world.balance(&account.account_id).await["balance"], "4.54");
    }
    let reason = world.row("select reference, reason from credit_transactions where kind = 'adjustment'").await;
    let says = |name: &str, what: &str| reason[name].as_str().is_some_and(|text| text.starts_with(what));
    assert!(says("reference", "rerate:") && says("reason", "the discount of November: 2 requests"), "{reason}");

    // The same range again, by prices that were published: refused, unless it is meant.
    blocking(|| {
        let publish = ["prices", "publish", file.to_str().expect("a path"), "--margin-bps", "12000"];
        world.stack.ledger_json(&publish).expect("the prices are published");
    });
    let dearer =
        ["rerate", "--price-version", "2", "--from", "1", "--until", &head, "--apply", "--reason", "a mistake"];
    let refused = blocking(|| world.stack.cli_output("ledger", &dearer).expect("the ledger's program runs"));
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--again"), "{refused:?}");
    // 120 %: twice 4.62. What is taken is recalled from the gateway, which has leased most of it.
    let done = world.ledger(&[&dearer[..], &["--again"]].concat());
    let adjusted = &done["lines"][0]["adjusted"];
    assert_eq!((&adjusted["amount"], &adjusted["loss"]), (&"-2.52".into(), &"0".into()), "{done:#}");
    world.projected().await;
    assert_eq!(world.balance(&account.account_id).await["balance"], "2.02");

    let csv = blocking(|| {
        let csv = [&cheaper[..], &["--format", "csv"]].concat();
        world.stack.ledger_cli(&csv).expect("the ledger lists it")
    });
    let expected = format!("{},true,anthropic/claude-sonnet-4.5,2,0,6.72,5.46,-1.26,,,", account.account_id);
    assert!(csv.starts_with("account_id,livemode,model,") && csv.contains(&expected), "{csv}");
    world.close().await;
}

fn range<'a>(file: &'a Path, margin_bps: &'a str, head: &'a str) -> Vec<&'a str> {
    let file = file.to_str().expect("a path");
    vec!["rerate", "--prices", file, "--margin-bps", margin_bps, "--from", "1", "--until", head]
}
