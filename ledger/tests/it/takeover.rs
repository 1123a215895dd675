use schemas::ids::RequestId;
use uuid::Uuid;

use crate::kit::{Kit, Puppet};

#[tokio::test]
async fn a_ledger_goes_on_where_the_one_before_was_killed() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 30);
    gateway.publish_through(0, &authorization).await.unwrap();
    kit.kill_ledgers().await;
    // Events wait in the stream.
    let usage = gateway.usage(account, request, 10_000);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, request, 24);
    gateway.publish(&deduction).await;
    kit.start_ledger();
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    kit.until_serving().await;
    gateway.lease(&kit, account, 60, 10).await.unwrap();
    kit.finish().await;
}

#[tokio::test]
async fn a_second_ledger_stands_by_and_takes_over() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    assert_eq!(kit.number("select epoch from ledger.head").await, 1);
    kit.kill_ledgers().await;
    kit.start_ledger();
    kit.until_number("select epoch from ledger.head", 2).await;
    kit.start_ledger();
    kit.until_serving().await;
    kit.add(account, 1, "while the second stands by").await.unwrap();
    assert_eq!(kit.number("select epoch from ledger.head").await, 2);
    kit.first_ledger().kill();
    kit.until_number("select epoch from ledger.head", 3).await;
    kit.until_serving().await;
    kit.add(account, 1, "after the takeover").await.unwrap();
    kit.finish().await;
}

#[tokio::test]
async fn a_writer_whose_epoch_is_over_cannot_write() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    sqlx::query("update ledger.head set epoch = epoch + 1").execute(&mut kit.db().await).await.unwrap();
    assert!(kit.add(account, 1, "by the stale one").await.is_err());
    assert_eq!(kit.money(account).await, [100, 0, 0, 0, 0]);
    kit.finish().await;
}

#[tokio::test]
async fn a_restart_of_postgres_loses_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    kit.postgres.kill();
    gateway.whole_request(account, 30, 10_000, 24).await;
    kit.postgres.restart().unwrap();
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    // What the ledger itself says goes on where it was, too.
    kit.add(account, 1, "after the restart").await.unwrap();
    kit.finish().await;
}
