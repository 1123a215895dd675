use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_leaves_no_hold_and_charges_nothing() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(10);
    let hold = till.authorize(&caller(account), request("9")).await.unwrap();
    let handler = till.track().spawn(async move {
        let _hold = hold;
        panic!("a bug, on purpose");
    });
    assert!(handler.await.unwrap_err().is_panic());
    until("its hold has ended", || till.metrics().holds_open.get() == 0).await;
    until("the ledger has read it", || ledger.events("AuthorizationReleased") == 1).await;
    assert_eq!((ledger.money(account).held, ledger.money(account).charged), (credits("0"), credits("0")));
    assert_eq!((till.metrics().dropped_unspent.get(), till.metrics().released.get()), (1, 1), "and it is seen");
    // What it had set aside can be spent.
    let hold = till.authorize(&caller(account), request("9")).await.unwrap();
    hold.settle(usage()).await.unwrap();
    until("only the answer is charged", || ledger.money(account).charged == credits("3.36")).await;
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_panics_after_it_has_settled_is_charged_once() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(10);
    let hold = till.authorize(&caller(account), request("9")).await.unwrap();
    let handler = till.track().spawn(async move {
        let _settling = hold.settle(usage());
        panic!("a bug, on purpose");
    });
    assert!(handler.await.unwrap_err().is_panic());
    until("it is settled all the same", || till.metrics().settled.get() == 1).await;
    until("and charged", || ledger.money(account).charged == credits("3.36")).await;
    assert_eq!((till.metrics().dropped_unspent.get(), ledger.events("AuthorizationReleased")), (0, 0));
    ledger.check();
}
