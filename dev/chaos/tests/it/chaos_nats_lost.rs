//! NATS loses its data folder, and comes back with an older one, under load, while the gateways live: they have all that
//! they said and that is not appended, and say it again in the next generation of the stream.

use anyhow::{Result, ensure};
use chaos::{Ask, Load, World, blocking};
use stack::local::StackOptions;
use stack::process::Process;

fn options() -> StackOptions {
    StackOptions {
        gateways: 2,
        lease_seconds: Some(3),
        authorization_expires_seconds: Some(40),
        ..StackOptions::default()
    }
}

async fn generation(world: &World) -> Result<i64> {
    world.number("select generation from ledger.head").await
}

/// Events that are in the stream and nowhere else but in the gateways that said them: the ledger is away.
struct Unread<'a>(&'a Process);

/// Kills the ledger, and waits until requests are complete without it: most clients have one under way.
async fn unread<'a>(world: &'a World, load: &Load) -> Result<Unread<'a>> {
    let ledger = world.stack.ledger();
    ledger.kill();
    load.completes(world, 10, "without the ledger").await?;
    Ok(Unread(ledger))
}

impl Unread<'_> {
    fn come_back(self) -> Result<()> {
        blocking(|| self.0.start().and_then(|()| self.0.wait_ready()))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_lost_its_disk_loses_no_charge() {
    World::story(options(), 3, async |world| {
        let nats = &world.stack.nats()[0];
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        blocking(|| nats.wipe_data().and_then(|()| nats.restart()))?;
        load.goes_on(world, "without the old data").await?;
        ensure!(generation(world).await? == 2, "generation {}", generation(world).await?);
        // Once more, and now some of what is lost has been read by nobody.
        let unread = unread(world, &load).await?;
        blocking(|| nats.wipe_data().and_then(|()| nats.restart()))?;
        unread.come_back()?;
        load.goes_on(world, "without the old data").await?;
        ensure!(generation(world).await? == 3, "generation {}", generation(world).await?);
        world.prove(&load.end().await).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_that_came_back_older_loses_no_charge() {
    World::story(options(), 3, async |world| {
        let nats = &world.stack.nats()[0];
        let old = tempfile::tempdir()?;
        let old = old.path().join("data");
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        blocking(|| {
            nats.kill();
            nats.snapshot_data(&old)?;
            nats.restart()
        })?;
        load.goes_on(world, "after a mere kill").await?;
        ensure!(generation(world).await? == 1, "nothing was lost yet");
        // The copy is older than what the ledger has read, and that is less than what the gateways have said.
        let last = world.last_in_stream(1).await?;
        world.until_number("select stream_seq from ledger.head", |read| read > last).await?;
        let unread = unread(world, &load).await?;
        blocking(|| nats.restore_data(&old).and_then(|()| nats.restart()))?;
        unread.come_back()?;
        load.goes_on(world, "with the old data").await?;
        ensure!(generation(world).await? == 2, "generation {}", generation(world).await?);
        world.prove(&load.end().await).await
    })
    .await;
}

/// The ledger cannot know that anything is missing: it had read none of it. Only the gateway knows.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_had_not_read_is_said_again() {
    World::story(StackOptions { gateways: 1, ..options() }, 1, async |world| {
        let (nats, ledger) = (&world.stack.nats()[0], world.stack.ledger());
        let old = tempfile::tempdir()?;
        let old = old.path().join("data");
        let mut heard = world.until_leased(0, &Ask::whole(1)).await?;
        blocking(|| {
            ledger.kill();
            // As a kill would leave it.
            nats.pause();
            nats.snapshot_data(&old)?;
            nats.resume();
            anyhow::Ok(())
        })?;
        for _ in 0..3 {
            heard.push(world.ask(0, 0, &Ask::whole(1)).await);
        }
        ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{heard:?}");
        let read = world.number("select position from ledger.head").await?;
        blocking(|| nats.restore_data(&old).and_then(|()| nats.restart()))?;
        ensure!(world.metric(0, "layers_backlog_events")? >= 9, "the gateway has forgotten what nobody has read");
        ensure!(world.number("select position from ledger.head").await? == read, "somebody wrote to the books");
        blocking(|| ledger.start().and_then(|()| ledger.wait_ready()))?;
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        world.prove(&heard).await?;
        ensure!(generation(world).await? == 1, "the stream is the one that the ledger knows");
        Ok(())
    })
    .await;
}
