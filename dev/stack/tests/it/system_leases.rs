//! Credits that a gateway has leased and does not use go back by themselves.

use std::time::Duration;

use super::system_kit::{World, worked_example};

/// A lease rests 2.5 seconds before it goes back; the rest is the machine's load.
const SECONDS: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_lease_goes_back_within_seconds() {
    let world = World::start();
    let account = world.account("team", "1000");
    for round in 1..=2 {
        let answer = world.ask(&account.key, &worked_example("")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let leased = async || {
            let books = world.ledger_account(&account.account_id).await;
            (books["leased"].as_u64() > Some(0) && books["held"] == 0).then_some(())
        };
        world.until("something is leased in advance", leased).await;

        let unleased = 1_000_000_000_000_u64 - round * 3_360_000_000;
        let at_rest = async || {
            let books = world.ledger_account(&account.account_id).await;
            (books["leased"] == 0 && books["unleased"] == unleased).then_some(())
        };
        world.within(SECONDS, "the idle lease goes back", at_rest).await;
        let leases = world
            .rows(&format!(
                "select granted - returned - charged as rest, held, closed from ledger.leases
                 where account_id = '{}'",
                account.account_id
            ))
            .await;
        let [lease] = &leases[..] else { panic!("one lease a life and account: {leases:?}") };
        assert_eq!(
            (&lease["rest"], &lease["held"], &lease["closed"]),
            (&0.into(), &0.into(), &false.into()),
            "{lease}"
        );
        assert_eq!(world.metric(0, "layers_leased_free_nanocredits").await, 0);
    }
    world.close().await;
}
