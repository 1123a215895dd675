use gateway::till::Refused;
use schemas::event::ReleaseReason;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_at_once_and_then_one_by_one_spend_an_account_to_its_last_hold() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(100);
    let at_once = futures_util::future::join_all((0..200).map(|_| pay(&till, account))).await;
    let mut paid = at_once.iter().filter(|paid| paid.is_ok()).count();
    for refused in at_once.into_iter().filter_map(Result::err) {
        assert!(!matches!(refused, Refused::Unavailable { .. }), "{refused}");
    }
    let refused = loop {
        match pay(&till, account).await {
            Ok(charged) => assert_eq!(charged, credits("3.36")),
            Err(refused) => break refused,
        }
        paid += 1;
    };
    // With 2.56 left it waits for nothing: what is settled at the gateway is settled at the ledger within its patience.
    assert!(
        matches!(refused, Refused::InsufficientCredits { available, .. } if available == credits("2.56")),
        "{refused:?}"
    );
    assert_eq!(paid, 29);
    until("all is read", || ledger.money(account).charged == credits("97.44")).await;
    assert_eq!(ledger.money(account).held, credits("0"));
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_is_said_to_be_held() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(5);
    let hold = till.authorize(&caller(account), request("4")).await.unwrap();
    until("it is read", || ledger.money(account).held == credits("4")).await;
    let refused = till.authorize(&caller(account), request("4")).await.unwrap_err();
    assert!(matches!(refused, Refused::CreditsHeld { held, .. } if held == credits("4")), "{refused:?}");
    let release = hold.release(ReleaseReason::ProviderFailed, "the provider failed".into());
    let (paid, released) = tokio::join!(pay(&till, account), release);
    released.unwrap();
    assert_eq!(paid.unwrap(), credits("3.36"));
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_lease_goes_back_and_a_dropped_hold_ends() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(1_000);
    assert_eq!(till.available(&caller(account)).await.unwrap(), credits("1000"));
    drop(till.authorize(&caller(account), request("4")).await.unwrap());
    assert!(ledger.money(account).unleased < credits("1000"));
    until("all is back", || ledger.money(account).unleased == credits("1000")).await;
    assert_eq!((till.metrics().dropped_unspent.get(), till.metrics().holds_open.get()), (1, 0));
    assert_eq!(ledger.events("AuthorizationReleased"), 1);
    ledger.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_may_not_spend_the_same_credits() {
    let ledger = SmallLedger::start().await;
    let (one, other) = (till(&ledger).await, till(&ledger).await);
    let account = ledger.account(20);
    let mut paid = 0;
    for round in 0..12 {
        let till = if round % 2 == 0 { &one } else { &other };
        paid += usize::from(pay(till, account).await.is_ok());
    }
    assert!(paid <= 5, "{paid}");
    until("both count each other", || one.health().live_gateways == 2 && other.health().live_gateways == 2).await;
    ledger.check();
}

/// The ledger's grant was committed, and its answer was lost. Nobody comes again for the account at this gateway.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_granted_unheard_goes_back_too() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(10);
    ledger.deaf(true);
    let refused = till.authorize(&caller(account), request("4")).await.unwrap_err();
    assert!(matches!(refused, Refused::Unavailable { .. }), "{refused:?}");
    assert!(ledger.money(account).leased >= credits("4"), "{:?}", ledger.money(account));
    ledger.deaf(false);
    until("it is given back", || ledger.money(account).unleased == credits("10")).await;
    ledger.check();
}
