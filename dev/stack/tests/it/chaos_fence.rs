//! A gateway sleeps for longer than its lease lasts: it is fenced, and what it does when it wakes up cannot count. One NATS.

use anyhow::{Result, ensure};
use stack::local::StackOptions;

use crate::chaos_kit::{Ask, World, blocking};

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
        world.first_gateway_sleeps(async |life| all_refuse(world, life).await).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_after_its_gates_were_purged() {
    World::story(options(), 1, async |world| {
        world
            .first_gateway_sleeps(async |life| {
                let mut heard = Vec::new();
                world
                    .until("its gates are purged", async || {
                        // Purged is only what was read before something else.
                        heard.push(world.ask(1, 0, &Ask::whole(1)).await);
                        Ok((world.messages_of_gates(1, life).await? == 0).then_some(()))
                    })
                    .await?;
                ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{heard:?}");
                all_refuse(world, life).await
            })
            .await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn also_after_nats_lost_its_data() {
    World::story(options(), 1, async |world| {
        let nats = &world.stack.nats()[0];
        world
            .first_gateway_sleeps(async |_| {
                blocking(|| nats.wipe_data().and_then(|()| nats.restart()))?;
                world.until_number("select generation from ledger.head", |generation| generation == 2).await?;
                world.ask_until_answered(1, 0, &Ask::whole(1)).await?;
                Ok(())
            })
            .await
    })
    .await;
}

async fn all_refuse(world: &World, life: &str) -> Result<()> {
    let refusing = world.gates_that_refuse(1, life).await?;
    ensure!(refusing == 64, "{refusing} of 64 gates refuse");
    Ok(())
}
