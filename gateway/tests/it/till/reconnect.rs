use gateway::till::Refused;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_outlasts_a_stop_of_nats() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    let hold = till.authorize(&caller(account), request("4")).await.unwrap();
    ledger.nats.kill();
    until("it is noticed", || !till.health().connected).await;
    let refused = till.authorize(&caller(account), request("4")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    let settling = hold.settle(usage());
    ledger.nats.restart().unwrap();
    assert_eq!(settling.await.unwrap().charged, credits("3.36"));
    ledger.read_again().await;
    authorize_in_the_end(&till, account).await.settle(usage()).await.unwrap();
    until("both are charged", || ledger.money(account).charged == credits("6.72")).await;
    assert_eq!(till.metrics().lives_begun.get(), 1, "the same life goes on, once it is confirmed");
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reconnect_nothing_is_authorized_before_the_ledger_has_confirmed_the_gates() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    pay(&till, account).await.unwrap();
    ledger.deaf(true);
    ledger.nats.kill();
    until("it is noticed", || !till.health().connected).await;
    ledger.nats.restart().unwrap();
    until("it is connected", || till.health().connected).await;
    assert!(!till.health().ready());
    let refused = till.authorize(&caller(account), request("0.1")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    ledger.deaf(false);
    authorize_in_the_end(&till, account).await.settle(usage()).await.unwrap();
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_and_lost_is_said_again_in_order() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(5);
    let copy = std::env::temp_dir().join(format!("layers-{}", Uuid::now_v7()));
    tokio::task::block_in_place(|| {
        ledger.nats.kill();
        ledger.nats.snapshot_data(&copy).unwrap();
        ledger.nats.restart().unwrap();
    });
    until("it is confirmed", || till.health().ready()).await;
    ledger.stop_reading();
    pay(&till, account).await.unwrap();
    // The ledger has read none of it, and NATS comes back without it.
    tokio::task::block_in_place(|| {
        ledger.nats.restore_data(&copy).unwrap();
        ledger.nats.restart().unwrap();
        std::fs::remove_dir_all(&copy).unwrap();
    });
    until("it is connected", || till.health().connected).await;
    ledger.read_again().await;
    until("it is charged", || ledger.money(account).charged == credits("3.36")).await;
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_the_ledger_is_away_and_the_lease_lasts() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(1_000);
    till.available(&caller(account)).await.unwrap();
    pay(&till, account).await.unwrap();
    ledger.deaf(true);
    assert_eq!(pay(&till, account).await.unwrap(), credits("3.36"));
    let refused = till.authorize(&caller(account), request("900")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    ledger.check();
}
