//! Each process is killed under load, one after the other. Each comes back, requests succeed again, and the books are
//! those of a day on which nothing happened.

use anyhow::ensure;
use chaos::{Load, World};
use stack::local::StackOptions;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_comes_back_and_no_charge_is_lost_or_made_twice() {
    let options = StackOptions {
        gateways: 2,
        supervise: true,
        lease_seconds: Some(3),
        authorization_expires_seconds: Some(15),
        ..StackOptions::default()
    };
    World::story(options, 4, async |world| {
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        let stack = &world.stack;
        let processes = [
            stack.gateway(0),
            stack.ledger(),
            stack.projector(),
            stack.nats()[0].process(),
            stack.postgres().process(),
            stack.gateway(1),
        ];
        // Twice: who comes back finds what its own death, and those of the others, have left.
        for process in processes.into_iter().chain(processes) {
            World::kill_and_wait(process)?;
            load.goes_on(world, &format!("after the kill of {}", process.name())).await?;
        }
        world.prove(&load.end().await).await?;
        // Each gateway was killed twice: so many lives at least are fenced.
        let fenced = world.number("select count(*) from ledger.events where event_type = 'GatewayFenced'").await?;
        ensure!(fenced >= 4, "{fenced} lives are fenced");
        Ok(())
    })
    .await;
}
