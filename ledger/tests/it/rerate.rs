use ledger::asker::Asker;
use ledger::config::NatsConfig;
use ledger::range::Range;
use ledger::rerate::{Compensation, Format, Listing, Plan, Run, Totals, rerate};
use schemas::ids::{AccountId, RequestId};
use schemas::price_book::{FIRST_CATALOGUE, PriceBook};
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::kit::{Kit, MODEL, Puppet};
use crate::recall::give_up;

/// The prices of a fresh installation, with another margin.
fn prices(margin_bps: u32) -> PriceBook {
    PriceBook::from_catalogue(FIRST_CATALOGUE, 0, margin_bps).unwrap()
}

async fn plan(kit: &Kit, prices: PriceBook, account: Option<AccountId>, run: Option<&str>) -> Plan {
    let range = Range::resolve(&mut kit.db().await, None, None).await.unwrap();
    let run = Run::new(run.map(str::to_owned), &prices, range, account);
    Plan { prices, range, account, run }
}

async fn compensation(kit: &Kit, again: bool) -> Compensation {
    let config = NatsConfig { nats_url: kit.nats.url(), cell: kit.cell.clone() };
    let asker = Asker::connect(&config).await.unwrap();
    Compensation { asker, by: "test".to_owned(), reason: "wrong prices".to_owned(), again }
}

/// What is listed, as JSON.
async fn listed(kit: &Kit, plan: &Plan, compensation: Option<&Compensation>) -> Result<(Value, Totals), String> {
    let pool = PgPool::connect(&kit.postgres.url()).await.unwrap();
    let mut out = Vec::new();
    let totals = rerate(&pool, plan, compensation, &mut Listing::new(Format::Json, &mut out)).await;
    let totals = totals.map_err(|error| format!("{error:#}"))?;
    Ok((serde_json::from_slice(&out).unwrap(), totals))
}

#[tokio::test]
async fn lower_prices_are_given_back_once_however_often_the_run_is_repeated() {
    let kit = Kit::start().await;
    let (first, second) = (kit.open_account(100).await, kit.open_account(100).await);
    let mut gateway = Puppet::register(&kit).await;
    for account in [first, second] {
        gateway.lease(&kit, account, 0, 100).await.unwrap();
        gateway.whole_request(account, 50, 10_000, 24).await;
        kit.until_money(account, [0, 76, 0, 24, 0]).await;
    }
    // 60 % become 30 %: 24 credits become 19.5.
    let plan = plan(&kit, prices(3_000), None, Some("fix")).await;
    let (seen, totals) = listed(&kit, &plan, None).await.unwrap();
    assert_eq!((totals.live.requests, totals.live.difference.to_string()), (2, "-9".to_owned()));
    assert_eq!((&seen["lines"][0]["new"], &seen["lines"][0]["adjusted"]), (&"19.5".into(), &Value::Null));
    assert_eq!(kit.number("select count(*) from ledger.refs where reference like 'rerate:%'").await, 0);

    // As if the run had been killed after one account.
    let compensation = compensation(&kit, false).await;
    let one = Plan { account: Some(second), ..plan.clone() };
    listed(&kit, &one, Some(&compensation)).await.unwrap();
    let (done, _) = listed(&kit, &plan, Some(&compensation)).await.unwrap();
    for line in done["lines"].as_array().unwrap() {
        assert_eq!(line["adjusted"]["before"], line["account_id"] == second.to_string(), "{line}");
        assert_eq!((&line["adjusted"]["amount"], &line["adjusted"]["loss"]), (&"4.5".into(), &"0".into()), "{line}");
    }
    let (again, totals) = listed(&kit, &plan, Some(&compensation)).await.unwrap();
    assert!(again["lines"].as_array().unwrap().iter().all(|line| line["adjusted"]["before"] == true), "{again}");
    assert_eq!(totals.live.given.to_string(), "9");
    assert_eq!(kit.number("select sum(bought)::bigint from ledger.accounts where livemode").await, 209_000_000_000);
    kit.finish().await;
}

#[tokio::test]
async fn higher_prices_take_what_there_is_wherever_it_is_leased_and_the_rest_is_lost() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 100).await.unwrap();
    gateway.whole_request(account, 100, 10_000, 24).await;
    gateway.whole_request(account, 76, 30_000, 72).await;
    kit.until_money(account, [0, 4, 0, 96, 0]).await;
    // 60 % become 120 %: 24 credits become 33, and 72 become 99, of which 76 were held.
    let plan = plan(&kit, prices(12_000), Some(account), None).await;
    let compensation = compensation(&kit, false).await;
    let (done, recall) =
        tokio::join!(listed(&kit, &plan, Some(&compensation)), give_up(&kit, &mut gateway, account, 4));
    assert_eq!(recall.need.to_string(), "13");
    let adjusted = done.unwrap().0["lines"][0]["adjusted"].clone();
    assert_eq!((&adjusted["amount"], &adjusted["loss"]), (&"-4".into(), &"9".into()), "{adjusted}");
    assert_eq!(kit.money(account).await, [0, 0, 0, 96, 9]);
    let (again, _) = listed(&kit, &plan, Some(&compensation)).await.unwrap();
    let repeated = &again["lines"][0]["adjusted"];
    assert_eq!((&repeated["before"], &repeated["position"]), (&true.into(), &adjusted["position"]));
    let losses = ledger::losses::losses(&mut kit.db().await).await.unwrap();
    assert!(losses.iter().any(|loss| loss.cause == "rerate" && loss.lost.to_string() == "9"), "{losses:?}");
    kit.finish().await;
}

#[tokio::test]
async fn what_is_not_final_or_was_compensated_by_another_run_is_refused() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 100).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 50);
    gateway.publish_through(0, &authorization).await.unwrap();
    let usage = gateway.usage(account, request, 10_000);
    gateway.publish(&usage).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'UsageRecorded'", 1).await;
    let compensation_once = compensation(&kit, false).await;
    let open = plan(&kit, prices(3_000), None, None).await;
    let refused = listed(&kit, &open, Some(&compensation_once)).await.unwrap_err();
    assert!(refused.contains("1 requests of this range have not ended"), "{refused}");
    let (seen, _) = listed(&kit, &open, None).await.unwrap();
    assert_eq!((&seen["lines"][0]["open"], &seen["lines"][0]["requests"]), (&1.into(), &0.into()));

    let deduction = gateway.deduction(account, request, 24);
    gateway.publish(&deduction).await;
    kit.until_money(account, [0, 76, 0, 24, 0]).await;
    let first = plan(&kit, prices(3_000), None, None).await;
    listed(&kit, &first, Some(&compensation_once)).await.unwrap();
    let other = plan(&kit, prices(0), Some(account), None).await;
    let refused = listed(&kit, &other, Some(&compensation_once)).await.unwrap_err();
    assert!(refused.contains(&first.run.id) && refused.contains("--again"), "{refused}");
    let (seen, _) = listed(&kit, &other, None).await.unwrap();
    assert_eq!(seen["overlapping_runs"][0]["id"], first.run.id);
    listed(&kit, &other, Some(&compensation(&kit, true).await)).await.unwrap();
    // 100 bought, 4.5 and 9 given.
    assert_eq!(kit.number("select sum(bought)::bigint from ledger.accounts where livemode").await, 113_500_000_000);
    kit.finish().await;
}

#[tokio::test]
async fn a_late_usage_is_rated_by_what_was_paid_and_a_model_without_a_price_is_named() {
    let kit = Kit::start().await;
    let account = kit.open_account(50).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 50).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 50);
    gateway.publish_through(0, &authorization).await.unwrap();
    let release = gateway.release(account, request, None);
    gateway.publish(&release).await;
    let returned = gateway.lease_return(account, 10);
    gateway.publish(&returned).await;
    let usage = gateway.usage(account, request, 10_000);
    gateway.publish(&usage).await;
    // 24 are due, and 10 are there.
    kit.until_money(account, [0, 40, 0, 0, 14]).await;
    for (margin, would_pay) in [(6_000, "10"), (12_000, "10"), (0, "10")] {
        let (seen, _) = listed(&kit, &plan(&kit, prices(margin), None, None).await, None).await.unwrap();
        let line = &seen["lines"][0];
        assert_eq!((&line["old"], &line["new"]), (&"10".into(), &would_pay.into()), "{line}");
    }
    let mut without = prices(3_000);
    without.models.remove(MODEL);
    let (seen, totals) = listed(&kit, &plan(&kit, without, None, None).await, None).await.unwrap();
    assert_eq!((&seen["lines"][0]["new"], totals.live.requests), (&Value::Null, 0));
    assert_eq!(totals.missing_models.first().map(String::as_str), Some(MODEL));
    kit.finish().await;
}
