use std::time::Duration;

use schemas::ids::RequestId;
use schemas::message::{Confirm, Confirmed};
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Settings};

fn short_leases() -> Settings {
    Settings { lease: Duration::from_millis(1_500), request: Duration::from_secs(60) }
}

#[tokio::test]
async fn a_silent_gateway_is_fenced_and_what_it_leased_is_taken_back_exactly() {
    let kit = Kit::with(short_leases()).await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 30, 10_000, 24).await;
    let open = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, open, 10);
    gateway.publish_through(1, &authorization).await.unwrap();
    kit.until_number("select count(*) from ledger.emitters where fenced", 1).await;
    // 60 granted, 24 charged, 10 in the open hold: 26 are free again.
    kit.until_money(account, [66, 0, 10, 24, 0]).await;
    assert_eq!(gateway.lease(&kit, account, 60, 1).await.unwrap_err(), "NotRegistered");
    let ask = Confirm { gateway: gateway.emitter, generation: gateway.generation };
    let confirmed: Confirmed = kit.ask(kit.cell.confirm(), &ask).await.unwrap();
    assert!(!confirmed.open);
    // Every gate refuses.
    for gate in [0, 1, 63] {
        let late = gateway.authorization(account, RequestId(Uuid::now_v7()), 1);
        assert_eq!(gateway.publish_through(gate, &late).await, Err(10_071), "gate {gate}");
    }
    // The hold is settled by the gateway that lives on: the rest goes to the account, whose lease is gone.
    gateway.seq -= 3;
    let usage = gateway.usage(account, open, 2_000);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, open, 4);
    gateway.publish(&deduction).await;
    kit.until_number("select (charged / 1e8)::bigint from ledger.accounts where charged > 0", 288).await;
    assert_eq!(kit.money(account).await[2], 0);
    kit.finish().await;
}

#[tokio::test]
async fn a_gateway_that_is_heard_is_not_fenced() {
    let kit = Kit::with(short_leases()).await;
    let gateway = Puppet::register(&kit).await;
    let silent = Puppet::register(&kit).await;
    let beating = async {
        loop {
            gateway.beat(false).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = beating => {}
        () = kit.until_number("select count(*) from ledger.emitters where fenced", 1) => {}
    }
    let state: String = sqlx::query_scalar("select state from ledger.lives where gateway = $1")
        .bind(gateway.emitter.0)
        .fetch_one(&mut kit.db().await)
        .await
        .unwrap();
    assert_eq!(state, "open");
    let fenced: bool = sqlx::query_scalar("select fenced from ledger.emitters where emitter = $1")
        .bind(silent.emitter.0)
        .fetch_one(&mut kit.db().await)
        .await
        .unwrap();
    assert!(fenced);
    kit.finish().await;
}

#[tokio::test]
async fn a_gateway_that_leaves_is_fenced_at_once() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.beat(true).await;
    kit.until_money(account, [100, 0, 0, 0, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn an_authorization_that_is_read_after_the_fence_holds_nothing_and_its_usage_is_late() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    // Acknowledged once, lost by the broker, and sent again after the fence: without its gate.
    let authorization = gateway.authorization(account, request, 30);
    let usage = gateway.usage(account, request, 10_000);
    let deduction = gateway.deduction(account, request, 24);
    gateway.beat(true).await;
    kit.until_money(account, [100, 0, 0, 0, 0]).await;
    gateway.publish(&authorization).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'AuthorizationExpired'", 1).await;
    assert_eq!(kit.money(account).await, [100, 0, 0, 0, 0]);
    gateway.publish(&usage).await;
    gateway.publish(&deduction).await;
    // What was used is paid by adjustment, as far as the account can.
    kit.until_money(account, [76, 0, 0, 0, 0]).await;
    kit.until_number("select count(*) from ledger.notes where note in ('late_usage', 'second_ending')", 2).await;
    kit.finish().await;
}

#[tokio::test]
async fn late_usage_of_an_empty_account_is_the_platforms_loss() {
    let kit = Kit::start().await;
    let account = kit.open_account(10).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 10).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    // In the other order: everything is there before the authorization.
    let authorization = gateway.authorization(account, request, 30);
    let usage = gateway.usage(account, request, 10_000);
    let deduction = gateway.deduction(account, request, 24);
    gateway.beat(true).await;
    kit.until_money(account, [10, 0, 0, 0, 0]).await;
    for sent in [&usage, &deduction, &authorization] {
        gateway.publish(sent).await;
    }
    kit.until_money(account, [0, 0, 0, 0, 14]).await;
    let losses = ledger::losses::losses(&mut kit.db().await).await.unwrap();
    assert_eq!((losses.len(), losses[0].lost.to_string(), losses[0].cause.as_str()), (1, "14".into(), "late_usage"));
    kit.finish().await;
}

#[tokio::test]
async fn a_return_after_the_fence_moves_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.beat(true).await;
    kit.until_money(account, [100, 0, 0, 0, 0]).await;
    let returned = gateway.lease_return(account, 60);
    gateway.publish(&returned).await;
    kit.until_number("select count(*) from ledger.notes where note = 'returned_after_fence'", 1).await;
    assert_eq!(kit.money(account).await, [100, 0, 0, 0, 0]);
    kit.finish().await;
}

#[tokio::test]
async fn gates_refuse_also_after_a_purge() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.beat(true).await;
    kit.until_money(account, [100, 0, 0, 0, 0]).await;
    kit.purge(&[gateway.emitter]).await.unwrap();
    let authorization = gateway.authorization(account, RequestId(Uuid::now_v7()), 1);
    assert_eq!(gateway.publish_through(9, &authorization).await, Err(10_071));
}
