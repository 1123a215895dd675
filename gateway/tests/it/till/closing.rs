use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_end_gives_everything_back_and_leaves() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(1_000);
    let hold = till.authorize(&caller(account), request("4")).await.unwrap();
    let life = ledger.lives()[0];
    till.track().spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        hold.settle(usage()).await.unwrap();
    });
    till.close(PATIENCE).await;
    assert!(till.authorize(&caller(account), request("4")).await.is_err());
    let money = ledger.money(account);
    assert_eq!((money.charged, money.unleased), (credits("3.36"), credits("996.64")));
    until("it has left", || ledger.last_heartbeat().is_some_and(|beat| beat.leaving && beat.lives == [life])).await;
    assert_eq!((till.metrics().lives.get(), till.metrics().backlog_events.get()), (0, 0));
    ledger.check();
}
