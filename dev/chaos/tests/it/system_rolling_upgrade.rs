//! The release before is replaced by this one, process by process, under load: ledger and projector first, so that whoever
//! hears a new version of an event knows it before anybody says it. In the wrong order nothing is lost either.

use anyhow::{Context, Result, ensure};
use chaos::{Ask, Ended, Heard, Load, OPEN_HOLDS, World, blocking};
use serde_json::Value;
use stack::local::StackOptions;

#[tokio::test(flavor = "multi_thread")]
async fn each_process_is_replaced_under_load_and_every_charge_is_right() {
    let options = StackOptions { gateways: 2, lease_seconds: Some(10), ..previous() };
    World::story(options, 4, async |world| {
        let stack = &world.stack;
        let load = Load::begin(world);
        load.goes_on(world, "at first").await?;
        for process in [stack.ledger(), stack.projector(), stack.gateway(0), stack.gateway(1)] {
            blocking(|| stack.upgrade(process))?;
            load.goes_on(world, &format!("with the new {}", process.name())).await?;
        }
        let heard = load.end().await;
        for heard in &heard {
            graceful(heard)?;
        }
        world.prove(&heard).await?;
        for version in [1, 2] {
            let said = usages(world, version).await?;
            ensure!(said > 0, "no usage of version {version} is in the log");
        }
        // What two releases of the projector wrote is what one of them makes of both versions.
        let rebuilt: Value = serde_json::from_str(&blocking(|| stack.projector_cli(&["rebuild", "--json"]))?)?;
        ensure!(rebuilt["comparison"]["same"] == true, "{rebuilt:#}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_ledger_could_not_read_is_replayed_after_its_upgrade() {
    const REQUESTS: usize = 6;
    let options = StackOptions { lease_seconds: Some(3), ..previous() };
    World::story(options, 2, async |world| {
        let stack = &world.stack;
        let mut heard = vec![world.ask(0, 0, &Ask::whole(1)).await];
        // The wrong order: what the new gateway says of usage, the old ledger cannot read.
        blocking(|| stack.upgrade(stack.gateway(0)))?;
        heard.extend(world.ask_all(0, Ask::both(REQUESTS, 20)).await);
        ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{heard:?}");
        let kept = |count| count == i64::try_from(REQUESTS).unwrap_or_default();
        world.until_number("select count(distinct message) from ledger.quarantine", kept).await?;
        // The gateway dies, and what it would have said again with it. Its life is over before anybody knows better.
        stack.gateway(0).kill();
        world.until_number("select count(*) from ledger.lives where state <> 'fenced'", |open| open == 0).await?;

        blocking(|| stack.upgrade(stack.ledger()))?;
        blocking(|| stack.upgrade(stack.projector()))?;
        ensure!(usages(world, 2).await? == 0, "a usage of version 2 is in the log");
        ensure!(kept(world.number(OPEN_HOLDS).await?), "the holds wait for their usage");
        let listed = blocking(|| stack.ledger_json(&["quarantine", "list", "--type", "UsageRecorded"]))?;
        let total = listed["total"].as_i64().context("no total")?;
        ensure!(total >= i64::try_from(REQUESTS)?, "{listed:#}");
        let why = "this ledger knows version 2";
        let replay = ["quarantine", "replay", "--all", "--reason", why, "--by", "the upgrade's test"];
        let replayed = blocking(|| stack.ledger_json(&replay))?;
        ensure!(replayed["done"].as_array().map(Vec::len) == Some(usize::try_from(total)?), "{replayed:#}");
        // Each says who and why; copies of one message name one event.
        let acts = "select count(*) from ledger.events where event_type = 'QuarantineReplayed'
                    and strpos(convert_from(event, 'UTF8'), 'this ledger knows version 2') > 0";
        ensure!(world.number(acts).await? == total, "not every replay is an event");
        ensure!(kept(usages(world, 2).await?), "a copy was appended twice");

        blocking(|| stack.gateway(0).start())?;
        heard.extend(world.ask_until_answered(0, 1, &Ask::whole(1)).await?);
        world.prove(&heard).await
    })
    .await;
}

fn previous() -> StackOptions {
    let release = stack::release::previous().unwrap_or_else(|error| panic!("{error:#}"));
    StackOptions { release: Some(release), ..StackOptions::default() }
}

/// A client was answered, or told to come again; or its connection was refused or closed before anything was answered.
fn graceful(heard: &Heard) -> Result<()> {
    let fine = match &heard.ended {
        Ended::Complete { .. } | Ended::Refused { status: 503, retry_after: Some(_), .. } => true,
        Ended::Refused { .. } | Ended::Left | Ended::Hung => false,
        Ended::Broken(_) => heard.request_id.is_none(),
    };
    ensure!(fine, "a request failed: {heard:?}");
    Ok(())
}

/// How many usages of a version the log has.
async fn usages(world: &World, version: i32) -> Result<i64> {
    let sql = match version {
        1 => {
            "select count(*) from ledger.events where event_type = 'UsageRecorded'
             and convert_from(event, 'UTF8')::json->>'version' = '1'"
        }
        _ => {
            "select count(*) from ledger.events where event_type = 'UsageRecorded'
             and convert_from(event, 'UTF8')::json->>'version' = '2'"
        }
    };
    world.number(sql).await
}
