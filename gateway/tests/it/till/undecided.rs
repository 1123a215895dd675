use gateway::till::Refused;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_that_nobody_acknowledges_is_released_and_holds_nothing() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(10);
    pay(&till, account).await.unwrap();
    ledger.nats.pause();
    let refused = till.authorize(&caller(account), request("0.1")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    assert_eq!((till.metrics().undecided.get(), till.metrics().holds_open.get()), (1, 1));
    ledger.nats.resume();
    until("it is released", || till.metrics().holds_open.get() == 0).await;
    until("it is read", || ledger.events("AuthorizationReleased") == 1 && ledger.money(account).held == credits("0"))
        .await;
    pay(&till, account).await.unwrap();
    until("only answers are charged", || ledger.money(account).charged == credits("6.72")).await;
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_the_decision_leaves_no_hold() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(10);
    pay(&till, account).await.unwrap();
    ledger.nats.pause();
    let impatient = Duration::from_millis(100);
    let (who, request) = (caller(account), request("0.1"));
    assert!(tokio::time::timeout(impatient, till.authorize(&who, request)).await.is_err());
    ledger.nats.resume();
    until("it is released", || till.metrics().released.get() == 1 && till.metrics().holds_open.get() == 0).await;
    until("all is back", || ledger.money(account).unleased == credits("6.64")).await;
    ledger.check();
}
