//! A gateway dies with open holds and does not come back: it is fenced, what it had leased is free again at once, and its
//! holds end when no request can run any more. Nobody is charged.

use anyhow::ensure;
use chaos::{Ask, CREDITS, Ended, OPEN_HOLDS, World};
use stack::local::StackOptions;

const LEASE_SECONDS: u64 = 2;
const EXPIRES_SECONDS: u64 = 8;
/// Shorter than a request may run, longer than everything before the kill takes.
const ANSWER_MS: u64 = 6_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_holds_of_a_dead_gateway_expire_and_the_credits_come_back() {
    let options = StackOptions {
        gateways: 2,
        lease_seconds: Some(LEASE_SECONDS),
        authorization_expires_seconds: Some(EXPIRES_SECONDS),
        ..StackOptions::default()
    };
    World::story(options, 2, async |world| {
        let running = world.ask_all(0, Ask::both(20, ANSWER_MS));
        world.until_in_flight(|calls| calls == 20).await?;
        world.until_number(OPEN_HOLDS, |open| open == 20).await?;
        world.stack.gateway(0).kill();
        let mut heard = running.await;
        ensure!(heard.iter().all(|heard| matches!(heard.ended, Ended::Broken(_))), "{heard:?}");

        // The other one sells on, to the same accounts.
        heard.extend(world.ask_all(1, Ask::both(4, 10)).await);
        ensure!(heard.iter().filter_map(|heard| heard.complete()).count() == 4, "{heard:?}");

        // The fence takes back what was leased to the dead one and not held, to the nanocredit.
        let fenced = "select count(*) from ledger.emitters where fenced";
        world.until_number(fenced, |fenced| fenced == 1).await?;
        let stranded = "select count(*) from ledger.leases join ledger.emitters on emitter = gateway and fenced
                        where not closed";
        ensure!(world.number(stranded).await? == 0, "a lease of the dead gateway is not closed");

        // And later the holds end.
        world.until_number(OPEN_HOLDS, |open| open == 0).await?;
        let too_early = "select count(*) from ledger.events join ledger.holds using (request_id)
                         where event_type = 'AuthorizationExpired' and recorded_at < authorized_time + interval '8 s'";
        ensure!(world.number(too_early).await? == 0, "a hold ended while its request could still have run");
        ensure!(world.number("select count(*) from ledger.holds where ending = 'expired'").await? == 20);

        world.prove(&heard).await?;
        let charged: i64 = heard.iter().filter_map(|heard| heard.complete()).sum();
        let left = world.number("select sum(unleased)::bigint from ledger.accounts where livemode").await?;
        ensure!(
            left == 2 * CREDITS * 1_000_000_000 - charged,
            "{left} are left of two accounts, {charged} was charged"
        );
        Ok(())
    })
    .await;
}
