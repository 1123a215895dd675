//! Gates on three NATS servers that replicate the stream: as many authorizations at a time as there are gates, one server
//! may go, and a gateway that slept past its lease is refused.

use anyhow::{Context, ensure};
use chaos::{Ask, Ended, Heard, Load, World, blocking};
use stack::local::StackOptions;

use crate::paused::first_gateway_sleeps;

const GATES: i64 = 64;

fn options() -> StackOptions {
    StackOptions {
        gateways: 2,
        nats_cluster: true,
        lease_seconds: Some(3),
        authorization_expires_seconds: Some(60),
        env: vec![("LAYERS_STREAM_REPLICAS".to_owned(), "3".to_owned())],
        ..StackOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_authorizations_at_a_time_as_there_are_gates() {
    World::story(options(), 1, async |world| {
        // At the provider. What is held and not used stays in the lease.
        let many = world.ask_all(0, vec![Ask::whole(3_000).with_tokens(1, 1); 200]);
        world.until_in_flight(|calls| calls >= 64).await?;
        let mut heard = many.await;
        ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{:?}", unsuccessful(&heard));

        // At the gates: while no server acknowledges anything, every gate is occupied.
        let gates = "select count(distinct convert_from(event, 'UTF8')::json->'data'->>'gate')
                     from ledger.events where event_type = 'RequestAuthorized'";
        world.says(&format!("{} gates were used", world.number(gates).await?));
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        let before = world.metric(0, "layers_holds_open")?;
        ensure!(before == 0, "{before} holds are open");
        world.stack.nats().iter().for_each(|server| server.pause());
        let many = world.ask_all(0, vec![Ask::whole(1); 150]);
        let occupied = world
            .until(
                "all gates are occupied",
                async || Ok((world.metric(0, "layers_holds_open")? >= GATES).then_some(())),
            )
            .await;
        world.stack.nats().iter().for_each(|server| server.resume());
        occupied?;
        let many = many.await;
        let clear = |heard: &&Heard| matches!(heard.ended, Ended::Complete { .. } | Ended::Refused { status: 503, .. });
        ensure!(many.iter().filter(clear).count() == many.len(), "{:?}", unsuccessful(&many));
        heard.extend(many);
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        world.prove(&heard).await?;
        ensure!(world.number(gates).await? == GATES, "{} gates were used", world.number(gates).await?);
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_without_one_of_three_servers() {
    World::story(options(), 3, async |world| {
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        let leader = world.leader(1).await?;
        let servers = world.stack.nats();
        let server = servers.iter().find(|server| server.process().name() == leader).context("the leader")?;
        server.kill();
        load.goes_on(world, "without the server that led the stream").await?;
        blocking(|| server.restart())?;
        load.goes_on(world, "with three again").await?;
        world.prove(&load.end().await).await?;
        ensure!(world.number("select generation from ledger.head").await? == 1, "the stream was never lost");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_slept_past_its_lease_is_refused_also_after_a_purge() {
    World::story(options(), 1, async |world| {
        first_gateway_sleeps(world, async |life| {
            world.all_gates_refuse(1, life).await?;
            let mut heard = Vec::new();
            world
                .until("its gates are purged", async || {
                    // Purged is only what was read before something else.
                    heard.push(world.ask(1, 0, &Ask::whole(1)).await);
                    Ok((world.messages_of_gates(1, life).await? == 0).then_some(()))
                })
                .await?;
            ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{heard:?}");
            world.all_gates_refuse(1, life).await
        })
        .await
    })
    .await;
}

fn unsuccessful(heard: &[Heard]) -> Vec<&Ended> {
    heard.iter().filter(|heard| heard.complete().is_none()).map(|heard| &heard.ended).collect()
}
