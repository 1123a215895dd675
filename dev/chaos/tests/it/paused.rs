//! A gateway that stops for longer than a silent one is given, and wakes up as if nothing had happened.

use anyhow::{Result, ensure};
use chaos::{Ask, Ended, OPEN_HOLDS, World};

/// Runs at the provider when the gateway stops.
const RUNNING_MS: u64 = 2_500;

/// Pauses the first of two gateways, with requests in all stages, until the ledger has fenced it; then lets something
/// happen, for which it gets the name of the fenced life; then wakes it up. Proves that it authorized nothing on that
/// life, settled what ran, and serves again.
pub(crate) async fn first_gateway_sleeps(world: &World, meanwhile: impl AsyncFnOnce(&str) -> Result<()>) -> Result<()> {
    let mut heard = world.until_leased(0, &Ask::whole(1)).await?;
    let running = world.ask_all(0, Ask::both(6, RUNNING_MS));
    world.until_in_flight(|calls| calls == 6).await?;
    world.until_number(OPEN_HOLDS, |open| open == 6).await?;
    let life = world.text_about(
        "select min(gateway::text) from ledger.holds where account_id = $1::uuid and charged is null and ending is null",
        &world.accounts[0].account_id,
    );
    let life = life.await?;
    // It stops in the midst of these …
    let begun = world.ask_all(0, vec![Ask::whole(50); 60]);
    world
        .until("some of them are authorized", async || Ok((world.metric(0, "layers_holds_open")? > 6).then_some(())))
        .await?;
    world.stack.gateway(0).pause();
    // … and these wait at its door.
    let waiting = world.ask_all(0, vec![Ask::whole(1); 30]);
    let fenced = async || {
        let state = world.text_about("select state from ledger.lives where gateway = $1::uuid", &life).await?;
        Ok((state == "fenced").then_some(()))
    };
    world.until("it is fenced", fenced).await?;
    heard.extend(world.ask_until_answered(1, 0, &Ask::whole(1)).await?);
    meanwhile(&life).await?;
    world.stack.gateway(0).resume();

    let running = running.await;
    ensure!(running.iter().all(|heard| heard.complete().is_some()), "what ran is not settled: {running:?}");
    let others = [begun.await, waiting.await].concat();
    let clear = |ended: &Ended| matches!(ended, Ended::Complete { .. } | Ended::Refused { status: 503, .. });
    ensure!(others.iter().all(|heard| clear(&heard.ended)), "{others:?}");
    heard.extend(running.into_iter().chain(others));
    let again = world.ask_until_answered(0, 0, &Ask::whole(1)).await?;
    let last = again.last().and_then(|heard| heard.request_id.clone()).unwrap_or_default();
    heard.extend(again);
    world.says(&format!("{} authorizations met a closed gate", world.metric(0, "layers_gate_refusals_total")?));
    world.prove(&heard).await?;

    let of_last = world.text_about("select gateway::text from ledger.holds where request_id = $1::uuid", &last).await?;
    ensure!(of_last != life, "it goes on with the life that was fenced");
    ensure!(world.metric(0, "layers_lives_begun_total")? >= 2, "it has not begun a new life");
    let after = world
        .text_about(
            "select count(*)::text from ledger.events as fence
             join ledger.events as asked on asked.emitter = $1::uuid and asked.position > fence.position
             where fence.event_type = 'GatewayFenced' and asked.event_type = 'RequestAuthorized'
               and (convert_from(fence.event, 'UTF8')::json->'data'->>'gateway')::uuid = $1::uuid",
            &life,
        )
        .await?;
    ensure!(after == "0", "{after} authorizations of the fenced life came after its fence");
    Ok(())
}
