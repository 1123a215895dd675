//! NATS is away: new requests are refused at once, those that run are settled when it is back, and nobody is thought dead
//! because nobody could be heard.

use std::time::Duration;

use anyhow::{Result, ensure};
use chaos::{Ask, Ended, Heard, World, blocking};
use stack::local::StackOptions;

const LEASE: Duration = Duration::from_secs(2);
/// A server that is not there at all is known not to be there.
const AT_ONCE: Duration = Duration::from_secs(1);
/// A server that accepts and never answers is only told by its silence.
const SOON: Duration = Duration::from_secs(8);

fn options() -> StackOptions {
    StackOptions {
        lease_seconds: Some(LEASE.as_secs()),
        authorization_expires_seconds: Some(40),
        ..StackOptions::default()
    }
}

fn refused(heard: &Heard, within: Duration) -> Result<()> {
    let says_when = matches!(heard.ended, Ended::Refused { status: 503, retry_after: Some(1..), .. });
    ensure!(says_when && heard.took < within, "not refused as it should be: {heard:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn new_requests_are_refused_at_once_and_what_runs_is_settled_when_it_is_back() {
    World::story(options(), 2, async |world| {
        let nats = &world.stack.nats()[0];
        let mut heard = world.ask_all(0, Ask::both(4, 10)).await;
        let running = world.ask_all(0, Ask::both(20, 1_500));
        world.until_in_flight(|calls| calls == 20).await?;
        let away = tokio::time::Instant::now();
        nats.kill();
        for account in [0, 1, 0, 1] {
            let refusal = world.ask(0, account, &Ask::whole(10)).await;
            refused(&refusal, AT_ONCE)?;
            heard.push(refusal);
        }
        // The answers are there, and wait for their settlement, longer than a silent gateway is given.
        world.until_in_flight(|calls| calls == 0).await?;
        tokio::time::sleep_until(away + LEASE * 3).await;
        ensure!(world.metric(0, "layers_holds_open")? == 20, "something was settled without NATS");
        blocking(|| nats.restart())?;
        let settled = running.await;
        ensure!(settled.iter().all(|heard| heard.complete().is_some()), "{settled:?}");
        heard.extend(settled);
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(10)).await?);
        world.prove(&heard).await?;
        ensure!(
            world.number("select count(*) from ledger.lives").await? == 1,
            "somebody was fenced for a silence of NATS"
        );
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_hangs_is_as_good_as_away() {
    World::story(options(), 1, async |world| {
        let nats = &world.stack.nats()[0];
        let mut heard = world.ask_all(0, Ask::both(4, 10)).await;
        let running = world.ask_all(0, Ask::both(10, 1_500));
        world.until_in_flight(|calls| calls == 10).await?;
        nats.pause();
        let refusal = world.ask(0, 0, &Ask::whole(10)).await;
        nats.resume();
        refused(&refusal, SOON)?;
        heard.push(refusal);
        let settled = running.await;
        ensure!(settled.iter().all(|heard| heard.complete().is_some()), "{settled:?}");
        heard.extend(settled);
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(10)).await?);
        world.prove(&heard).await
    })
    .await;
}
