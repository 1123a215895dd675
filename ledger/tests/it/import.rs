use std::time::Duration;

use ledger::export::{Folder, SEGMENT, export};
use schemas::ids::RequestId;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Settings};

#[tokio::test]
async fn business_goes_on_in_the_database_that_was_imported_into() {
    let settings = Settings { lease: Duration::from_millis(1_500), request: Duration::from_secs(60) };
    let mut old = Kit::start().await;
    let account = old.open_account(100).await;
    let mut gateway = Puppet::register(&old).await;
    gateway.lease(&old, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 30, 10_000, 24).await;
    // A hold is open, and something lies in the quarantine.
    let open = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, open, 10);
    gateway.publish_through(1, &authorization).await.unwrap();
    let too_much = gateway.authorization(account, RequestId(Uuid::now_v7()), 500);
    gateway.publish(&too_much).await;
    old.until_number("select count(*) from ledger.quarantine", 1).await;
    old.until_money(account, [40, 26, 10, 24, 0]).await;
    old.kill_ledgers().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::new(dir.path());
    export(&mut old.db().await, &folder, SEGMENT, |_, _| {}).await.unwrap();

    // Another machine: nothing but the folder comes along.
    let kit = Kit::restored(settings, &folder).await;
    assert_eq!(kit.number("select generation from ledger.head").await, 2);
    assert_eq!(kit.number("select count(*) from ledger.quarantine").await, 1);
    // The old gateway is not heard here: it is fenced, and what it leased is free again but for its open hold.
    kit.until_number("select count(*) from ledger.emitters where fenced", 1).await;
    kit.until_money(account, [66, 0, 10, 24, 0]).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 30, 10_000, 24).await;
    kit.until_number("select (charged / 1e9)::bigint from ledger.accounts where charged > 0", 48).await;
    kit.finish().await;
}
