use gateway::till::Refused;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_gateway_authorizes_nothing_and_begins_a_new_life() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    // So that the lease has more than one hold, and the next request goes to a gate without asking the ledger.
    till.available(&caller(account)).await.unwrap();
    let running = till.authorize(&caller(account), request("4")).await.unwrap();
    let first = ledger.lives()[0];
    ledger.fence(first).await;
    let refused = till.authorize(&caller(account), request("4")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    assert_eq!(till.metrics().gate_refusals.get(), 1);
    let hold = authorize_in_the_end(&till, account).await;
    assert_eq!(till.metrics().gate_refusals.get(), 1, "one refusal ends the life");
    // What ran in the old life is settled all the same.
    assert_eq!(running.settle(usage()).await.unwrap().charged, credits("3.36"));
    hold.settle(usage()).await.unwrap();
    until("both are charged", || ledger.money(account).charged == credits("6.72")).await;
    until("the old life is forgotten", || till.metrics().lives.get() == 1).await;
    assert_eq!(ledger.events("AuthorizationReleased"), 1);
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_new_generation_everything_that_is_not_appended_is_said_again() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    pay(&till, account).await.unwrap();
    let running = till.authorize(&caller(account), request("4")).await.unwrap();
    until("it is read", || ledger.money(account).held == credits("4")).await;
    ledger.next_generation().await;
    until("the new generation is known", || till.health().generation == 2).await;
    let hold = authorize_in_the_end(&till, account).await;
    running.settle(usage()).await.unwrap();
    hold.settle(usage()).await.unwrap();
    until("all are charged", || ledger.money(account).charged == credits("10.08")).await;
    until("the old life is forgotten", || till.metrics().lives.get() == 1).await;
    assert_eq!(till.metrics().lives_begun.get(), 2);
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_credits_goes_on_in_the_next_life() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    ledger.fence(ledger.lives()[0]).await;
    // The lease is empty, so the ledger is asked first, and does not know the life any longer.
    assert_eq!(pay(&till, account).await.unwrap(), credits("3.36"));
    assert_eq!((till.metrics().gate_refusals.get(), till.metrics().lives_begun.get()), (0, 2));
    ledger.check();
}
