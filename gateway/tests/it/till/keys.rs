use gateway::till::NotAuthenticated;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_known_until_it_is_revoked_and_then_never_again() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let account = ledger.account(1);
    let key = ledger.key(account);
    assert_eq!(till.authenticate("sk-abc").await, Err(NotAuthenticated::Malformed));
    let stranger = schemas::api_key::Secret::from_random(true, &[1; 32]);
    assert_eq!(till.authenticate(stranger.reveal()).await, Err(NotAuthenticated::Unknown));
    assert_eq!(till.authenticate(key.reveal()).await.unwrap().account_id, account);
    // The cache answers where the ledger does not.
    ledger.deaf(true);
    assert!(till.authenticate(key.reveal()).await.is_ok());
    ledger.deaf(false);
    assert_eq!(ledger.revoke(&key).await, ledger.lives());
    assert_eq!(till.authenticate(key.reveal()).await, Err(NotAuthenticated::Revoked));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_reconnect_a_key_is_looked_up_anew() {
    let ledger = SmallLedger::start().await;
    let till = till(&ledger).await;
    let key = ledger.key(ledger.account(1));
    till.authenticate(key.reveal()).await.unwrap();
    ledger.nats.kill();
    until("it is noticed", || !till.health().connected).await;
    ledger.deaf(true);
    ledger.nats.restart().unwrap();
    until("it is connected", || till.health().connected).await;
    assert_eq!(till.authenticate(key.reveal()).await, Err(NotAuthenticated::Unavailable));
}
