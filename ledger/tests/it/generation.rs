use std::time::Duration;

use schemas::ids::RequestId;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Settings};

#[tokio::test]
async fn a_nats_that_lost_its_disk_begins_the_next_generation_and_loses_no_event_of_a_living_gateway() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 30);
    gateway.publish_through(0, &authorization).await.unwrap();
    kit.until_money(account, [40, 30, 30, 0, 0]).await;
    kit.nats.kill();
    kit.nats.wipe_data().unwrap();
    kit.nats.restart().unwrap();
    kit.until_number("select coalesce(max(generation), 0) from ledger.head where stream_seq > 0", 2).await;
    // The old life settles what runs, and sends all of it again; it authorizes nothing more.
    let usage = gateway.usage(account, request, 10_000);
    let deduction = gateway.deduction(account, request, 24);
    gateway.generation = 2;
    for sent in [&authorization, &usage, &deduction] {
        let mut again = sent.clone();
        again.subject = again.subject.replace(".1.events.", ".2.events.");
        gateway.publish(&again).await;
    }
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    assert_eq!(gateway.lease(&kit, account, 60, 1).await.unwrap_err(), "NotRegistered");
    // A new life has new gates.
    let mut next = Puppet::register(&kit).await;
    assert_eq!(next.generation, 2);
    next.lease(&kit, account, 0, 30).await.unwrap();
    next.whole_request(account, 30, 10_000, 24).await;
    kit.until_money(account, [10, 42, 0, 48, 0]).await;
    // When the old life goes silent there are no gates to close: its lease is taken back all the same.
    gateway.beat(true).await;
    kit.until_money(account, [46, 6, 0, 48, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn a_nats_that_came_back_older_is_read_whole_sealed_and_given_up() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 20, 1_000, 2).await;
    kit.until_money(account, [40, 57, 0, 2, 0]).await;
    let copy = tempfile::tempdir().unwrap();
    kit.nats.kill();
    kit.nats.snapshot_data(&copy.path().join("data")).unwrap();
    kit.nats.restart().unwrap();
    gateway.whole_request(account, 20, 1_000, 2).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'CreditsDeducted'", 2).await;
    kit.nats.kill();
    kit.nats.restore_data(&copy.path().join("data")).unwrap();
    kit.nats.restart().unwrap();
    kit.until_number("select coalesce(max(generation), 0) from ledger.head where stream_seq > 0", 2).await;
    let jetstream = async_nats::jetstream::new(kit.client.clone());
    let old = jetstream.get_stream(kit.cell.stream(1)).await.unwrap();
    assert!(old.cached_info().config.sealed);
    // Its gates are in a stream that takes nothing more.
    let authorization = gateway.authorization(account, RequestId(Uuid::now_v7()), 1);
    let refused = jetstream.publish(authorization.subject, authorization.bytes.into()).await.unwrap().await;
    assert!(refused.is_err());
    assert_eq!(kit.number("select count(*) from ledger.quarantine").await, 0);
    kit.finish().await;
}

#[tokio::test]
async fn a_fence_that_was_under_way_when_the_stream_was_lost_is_completed() {
    let kit = Kit::with(Settings { lease: Duration::from_millis(1_500), ..Settings::default() }).await;
    let account = kit.open_account(100).await;
    let gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    kit.nats.kill();
    kit.nats.wipe_data().unwrap();
    kit.nats.restart().unwrap();
    kit.until_money(account, [100, 0, 0, 0, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn a_restart_of_nats_alone_changes_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 20, 10_000, 20).await;
    kit.until_money(account, [40, 40, 0, 20, 4]).await;
    kit.nats.kill();
    kit.nats.restart().unwrap();
    kit.until_serving().await;
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 10);
    gateway.publish_through(3, &authorization).await.unwrap();
    kit.until_money(account, [40, 30, 10, 20, 4]).await;
    assert_eq!(kit.number("select generation from ledger.head").await, 1);
    kit.finish().await;
}

#[tokio::test]
async fn what_came_into_an_older_stream_is_not_purged_unread() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let copy = tempfile::tempdir().unwrap();
    kit.nats.kill();
    kit.nats.snapshot_data(&copy.path().join("data")).unwrap();
    kit.nats.restart().unwrap();
    gateway.whole_request(account, 20, 1_000, 2).await;
    gateway.whole_request(account, 20, 1_000, 2).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'CreditsDeducted'", 2).await;
    kit.kill_ledgers().await;
    kit.nats.kill();
    kit.nats.restore_data(&copy.path().join("data")).unwrap();
    kit.nats.restart().unwrap();
    // It takes a number that the ledger has applied.
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 10);
    let place = gateway.publish_through(5, &authorization).await.unwrap();
    assert!((place as i64) < kit.number("select stream_seq from ledger.head").await, "{place}");
    let refused = kit.purge(&[]).await.unwrap_err();
    assert_eq!(refused.to_string(), "the stream is not the one that was read");
    // It is read when the stream is given up.
    kit.start_ledger();
    kit.until_money(account, [40, 45, 10, 4, 0]).await;
    kit.finish().await;
}
