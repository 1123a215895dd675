use schemas::ids::RequestId;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Sent};

#[tokio::test]
async fn a_request_moves_money_from_lease_to_hold_to_charge() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    kit.until_money(account, [40, 60, 0, 0, 0]).await;
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 50);
    gateway.publish_through(5, &authorization).await.unwrap();
    kit.until_money(account, [40, 10, 50, 0, 0]).await;
    let usage = gateway.usage(account, request, 10_000);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, request, 24);
    gateway.publish(&deduction).await;
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    let returned = gateway.lease_return(account, 36);
    gateway.publish(&returned).await;
    kit.until_money(account, [76, 0, 0, 24, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn what_is_beyond_the_hold_is_the_platforms_loss_and_a_false_claim_moves_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 20).await.unwrap();
    gateway.whole_request(account, 20, 10_000, 1).await;
    kit.until_money(account, [80, 0, 0, 20, 4]).await;
    assert_eq!(kit.number("select count(*) from ledger.notes where note = 'claim_differs'").await, 1);
    let losses = ledger::losses::losses(&mut kit.db().await).await.unwrap();
    assert_eq!((losses.len(), losses[0].lost.to_string(), losses[0].cause.as_str()), (1, "4".into(), "beyond_hold"));
    kit.finish().await;
}

#[tokio::test]
async fn repeats_are_dropped_and_order_does_not_matter() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 50);
    let usage = gateway.usage(account, request, 10_000);
    let deduction = gateway.deduction(account, request, 24);
    for sent in [&deduction, &usage, &deduction, &authorization, &usage, &authorization, &deduction] {
        gateway.publish(sent).await;
    }
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    assert_eq!(kit.number("select count(*) from ledger.events where request_id is not null").await, 3);
    assert_eq!(kit.number("select count(*) from ledger.quarantine").await, 0);
    kit.finish().await;
}

#[tokio::test]
async fn what_cannot_be_true_is_quarantined_with_its_bytes_and_holds_nothing_back() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 30).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    // More than the lease has.
    let too_much = gateway.authorization(account, request, 50);
    gateway.publish(&too_much).await;
    // No event at all, and one whose subject is another's.
    let nonsense = Sent { subject: too_much.subject.clone(), bytes: b"{".to_vec() };
    gateway.publish(&nonsense).await;
    let mut elsewhere = gateway.deduction(account, request, 1);
    elsewhere.subject = too_much.subject.clone();
    gateway.publish(&elsewhere).await;
    // The same emitter and seq with another body.
    let first = gateway.whole_request(account, 30, 10_000, 24).await;
    gateway.seq -= 1;
    let other_body = gateway.deduction(account, first, 3);
    gateway.publish(&other_body).await;
    kit.until_number("select count(*) from ledger.quarantine", 4).await;
    kit.until_money(account, [70, 6, 0, 24, 0]).await;
    let kept: Vec<u8> = sqlx::query_scalar("select message from ledger.quarantine order by id limit 1")
        .fetch_one(&mut kit.db().await)
        .await
        .unwrap();
    assert_eq!(kept, too_much.bytes);
    kit.finish().await;
}

#[tokio::test]
async fn events_can_be_neither_changed_nor_removed() {
    let kit = Kit::start().await;
    kit.open_account(100).await;
    for change in ["update ledger.events set seq = 99", "delete from ledger.events", "truncate ledger.events"] {
        let refused = sqlx::query(change).execute(&mut kit.db().await).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    // Nor may the role that a ledger runs as in production.
    let mut db = kit.db().await;
    sqlx::query("set role layers_ledger").execute(&mut db).await.unwrap();
    let refused = sqlx::query("delete from ledger.events").execute(&mut db).await.unwrap_err().to_string();
    assert!(refused.contains("permission denied"), "{refused}");
    kit.finish().await;
}

#[tokio::test]
async fn an_emitter_is_told_how_far_it_is_and_what_is_missing() {
    use futures_util::StreamExt;
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 30).await.unwrap();
    let mut told = kit.client.subscribe(kit.cell.appended(gateway.emitter)).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let first = gateway.authorization(account, request, 10);
    let lost = gateway.usage(account, request, 1_000);
    let last = gateway.deduction(account, request, 2);
    gateway.publish(&first).await;
    gateway.publish(&last).await;
    let mut heard = async |through: u64, beyond: &[(u64, u64)]| loop {
        let appended: schemas::message::Appended = serde_json::from_slice(&told.next().await.unwrap().payload).unwrap();
        if (appended.through, appended.beyond.as_slice()) == (through, beyond) {
            return;
        }
    };
    heard(1, &[(3, 3)]).await;
    gateway.publish(&lost).await;
    heard(3, &[]).await;
    // A number that is named as never coming is accounted for in the books; its emitter is told only what is appended.
    gateway.seq += 1;
    let released = gateway.release(account, RequestId(Uuid::now_v7()), Some(4));
    gateway.publish(&released).await;
    heard(3, &[(5, 5)]).await;
    assert_eq!(kit.number("select count(*) from ledger.emitters where never @> 4::bigint").await, 1);
    kit.finish().await;
}
