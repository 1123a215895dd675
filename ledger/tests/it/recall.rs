use futures_util::StreamExt;
use schemas::message::{Recall, Recalled};

use crate::kit::{Kit, Puppet};

/// Answers one recall as a gateway does that uses so much of what it has.
pub(crate) async fn give_up(
    kit: &Kit,
    gateway: &mut Puppet,
    account: schemas::ids::AccountId,
    returned_total: i64,
) -> Recall {
    let mut recalls = kit.client.subscribe(kit.cell.recall(gateway.emitter)).await.unwrap();
    let message = recalls.next().await.unwrap();
    let recall: Recall = serde_json::from_slice(&message.payload).unwrap();
    if returned_total > 0 {
        let returned = gateway.lease_return(account, returned_total);
        gateway.publish(&returned).await;
    }
    let answer = Recalled { returned_total: format!("{returned_total}").parse().unwrap() };
    kit.client.publish(message.reply.unwrap(), serde_json::to_vec(&answer).unwrap().into()).await.unwrap();
    recall
}

#[tokio::test]
async fn what_one_gateway_holds_unused_is_recalled_for_another() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut rich = Puppet::register(&kit).await;
    let poor = Puppet::register(&kit).await;
    rich.lease(&kit, account, 0, 90).await.unwrap();
    let (reply, recall) = tokio::join!(poor.lease(&kit, account, 0, 40), give_up(&kit, &mut rich, account, 30));
    assert_eq!(recall.need.to_string(), "30");
    assert_eq!(reply.unwrap().granted_total.to_string(), "40");
    kit.until_money(account, [0, 100, 0, 0, 0]).await;
    kit.finish().await;
}

#[tokio::test]
async fn a_gateway_that_keeps_what_it_has_or_says_nothing_costs_a_moment() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut rich = Puppet::register(&kit).await;
    let poor = Puppet::register(&kit).await;
    rich.lease(&kit, account, 0, 90).await.unwrap();
    let (reply, _) = tokio::join!(poor.lease(&kit, account, 0, 40), give_up(&kit, &mut rich, account, 0));
    let reply = reply.unwrap();
    assert_eq!((reply.granted_total.to_string(), reply.available.to_string()), ("0".into(), "100".into()));
    // Nobody answers at all.
    let asked = std::time::Instant::now();
    assert_eq!(poor.lease(&kit, account, 0, 40).await.unwrap().granted_total.to_string(), "0");
    assert!(asked.elapsed() < std::time::Duration::from_secs(1));
    kit.finish().await;
}

#[tokio::test]
async fn nothing_is_recalled_for_what_no_recall_could_serve() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let rich = Puppet::register(&kit).await;
    let poor = Puppet::register(&kit).await;
    rich.lease(&kit, account, 0, 90).await.unwrap();
    let mut recalls = kit.client.subscribe(kit.cell.recall(rich.emitter)).await.unwrap();
    let reply = poor.lease(&kit, account, 0, 101).await.unwrap();
    assert_eq!((reply.granted_total.to_string(), reply.unleased.to_string()), ("0".into(), "10".into()));
    kit.client.flush().await.unwrap();
    let silence = tokio::time::timeout(std::time::Duration::from_millis(100), recalls.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    kit.finish().await;
}
