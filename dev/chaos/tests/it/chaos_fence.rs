//! A gateway sleeps for longer than its lease lasts: it is fenced, and what it does when it wakes up cannot count. One NATS.

use anyhow::ensure;
use chaos::{Ask, Ended, Heard, World, blocking};
use stack::local::StackOptions;

use crate::paused::first_gateway_sleeps;

fn options() -> StackOptions {
    StackOptions {
        gateways: 2,
        lease_seconds: Some(2),
        authorization_expires_seconds: Some(60),
        ..StackOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_slept_past_its_lease_begins_a_new_life() {
    World::story(options(), 1, async |world| {
        first_gateway_sleeps(world, async |life| world.all_gates_refuse(1, life).await).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_after_nats_lost_its_data() {
    World::story(options(), 1, async |world| {
        let nats = &world.stack.nats()[0];
        first_gateway_sleeps(world, async |_| {
            blocking(|| nats.wipe_data().and_then(|()| nats.restart()))?;
            world.until_number("select generation from ledger.head", |generation| generation == 2).await?;
            world.ask_until_answered(1, 0, &Ask::whole(1)).await?;
            Ok(())
        })
        .await
    })
    .await;
}

/// In the copy its gates are still open, and the ledger is not there to say so: only the ledger's word opens them again.
#[tokio::test(flavor = "multi_thread")]
async fn also_where_nats_came_back_with_its_gates_open() {
    World::story(options(), 1, async |world| {
        let (nats, ledger) = (&world.stack.nats()[0], world.stack.ledger());
        let old = tempfile::tempdir()?;
        let old = old.path().join("data");
        blocking(|| {
            // As a kill would leave it.
            nats.pause();
            let copied = nats.snapshot_data(&old);
            nats.resume();
            copied
        })?;
        let mut heard = Vec::new();
        first_gateway_sleeps(world, async |life| {
            world.all_gates_refuse(1, life).await?;
            blocking(|| {
                ledger.kill();
                nats.restore_data(&old)?;
                nats.restart()
            })?;
            let open = world.messages_of_gates(1, life).await?;
            ensure!(open == 64, "{open} of 64 gates are in the copy");
            world.stack.gateway(0).resume();
            let connected = async || Ok((world.health(0)?["connected"] == true).then_some(()));
            world.until("it is connected again", connected).await?;
            heard = world.ask_all(0, vec![Ask::whole(1); 10]).await;
            let refused = |heard: &Heard| matches!(heard.ended, Ended::Refused { status: 503, .. });
            ensure!(heard.iter().all(refused), "{heard:?}");
            blocking(|| ledger.start().and_then(|()| ledger.wait_ready()))?;
            world.ask_until_answered(1, 0, &Ask::whole(1)).await?;
            Ok(())
        })
        .await?;
        world.prove(&heard).await
    })
    .await;
}
