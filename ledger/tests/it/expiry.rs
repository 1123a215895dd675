use std::time::Duration;

use schemas::ids::RequestId;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Settings};

fn short() -> Settings {
    Settings { lease: Duration::from_millis(1_500), request: Duration::from_millis(2_500) }
}

#[tokio::test]
async fn an_open_hold_of_a_fenced_gateway_ends_after_the_longest_request() {
    let kit = Kit::with(short()).await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let (unused, used, waiting) = (RequestId(Uuid::now_v7()), RequestId(Uuid::now_v7()), RequestId(Uuid::now_v7()));
    for request in [unused, used, waiting] {
        let authorization = gateway.authorization(account, request, 20);
        gateway.publish_through(0, &authorization).await.unwrap();
    }
    // One has its usage and no ending; one has its ending and no usage.
    let usage = gateway.usage(account, used, 5_000);
    gateway.publish(&usage).await;
    let late = gateway.usage(account, waiting, 5_000);
    let deduction = gateway.deduction(account, waiting, 12);
    gateway.publish(&deduction).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'AuthorizationExpired'", 3).await;
    kit.until_money(account, [88, 0, 0, 12, 0]).await;
    // The usage that comes at last is paid by adjustment.
    gateway.publish(&late).await;
    kit.until_money(account, [76, 0, 0, 12, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn a_hold_of_a_gateway_that_lives_does_not_expire() {
    let kit = Kit::with(short()).await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    let mut dead = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 20).await.unwrap();
    dead.lease(&kit, account, 0, 20).await.unwrap();
    for puppet in [&mut gateway, &mut dead] {
        let authorization = puppet.authorization(account, RequestId(Uuid::now_v7()), 20);
        puppet.publish_through(0, &authorization).await.unwrap();
    }
    let beating = async {
        loop {
            gateway.beat(false).await;
            tokio::time::sleep(Duration::from_millis(80)).await;
        }
    };
    tokio::select! {
        () = beating => {}
        () = kit.until_number("select count(*) from ledger.events where event_type = 'AuthorizationExpired'", 1) => {}
    }
    assert_eq!(kit.money(account).await, [80, 0, 20, 0, 0]);
    kit.finish().await;
}
