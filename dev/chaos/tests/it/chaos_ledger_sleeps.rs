//! Of two ledgers one is active. It sleeps: the other one takes over within seconds, and what the first one does when it
//! wakes up cannot be written.

use std::time::Duration;

use anyhow::{Context, ensure};
use chaos::{Ask, Load, World, blocking};
use stack::local::StackOptions;
use tokio::time::Instant;

/// PostgreSQL ends the session of a silent ledger after three seconds; the rest is the machine's load.
const SECONDS: Duration = Duration::from_secs(15);

fn options() -> StackOptions {
    StackOptions {
        standby: true,
        lease_seconds: Some(2),
        authorization_expires_seconds: Some(30),
        ..StackOptions::default()
    }
}

async fn second_is_active(world: &World) -> anyhow::Result<()> {
    world
        .until("the second ledger is active", async || {
            let url = format!("{}/health", world.stack.ledger_number_url(1));
            let (status, _) = blocking(|| stack::http::get(&url, Duration::from_secs(5)))?;
            Ok((status == 200).then_some(()))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_one_takes_over_and_the_first_one_writes_nothing_more() {
    World::story(options(), 2, async |world| {
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        let asleep = Instant::now();
        world.stack.ledger().pause();
        second_is_active(world).await?;
        ensure!(asleep.elapsed() < SECONDS, "it took {:?}", asleep.elapsed());
        load.goes_on(world, "with the second ledger").await?;
        ensure!(world.number("select epoch from ledger.head").await? == 2, "who writes has another epoch");
        world.stack.ledger().resume();
        // It was in the midst of its work, and had no reason to think that its time was over.
        let ended = async || Ok(world.stack.ledger().pid().is_none().then_some(()));
        world.until("the first one ends", ended).await?;
        load.goes_on(world, "when the first one has ended").await?;
        ensure!(world.number("select epoch from ledger.head").await? == 2, "the first one took over again");
        world.prove(&load.end().await).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_one_takes_over_at_once_from_one_that_died() {
    World::story(options(), 1, async |world| {
        let mut heard = world.ask_until_answered(0, 0, &Ask::whole(1)).await?;
        let dead = Instant::now();
        world.stack.ledger().kill();
        second_is_active(world).await?;
        ensure!(dead.elapsed() < SECONDS, "it took {:?}", dead.elapsed());
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        blocking(|| world.stack.ledger().start()).context("the first one comes back")?;
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        world.prove(&heard).await?;
        ensure!(world.number("select epoch from ledger.head").await? == 2, "the first one took over again");
        Ok(())
    })
    .await;
}
