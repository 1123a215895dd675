//! The ledger is away: requests go on while leases and cached keys last, then they are refused; what was sold meanwhile
//! waits in the stream. When it is back, it does not take the silence that it did not hear for a death.

use std::time::Duration;

use anyhow::{Context, ensure};
use chaos::{Ask, Ended, World, blocking};
use stack::local::StackOptions;

const LEASE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_their_leases_last() {
    let options = StackOptions {
        lease_seconds: Some(LEASE.as_secs()),
        authorization_expires_seconds: Some(30),
        ..StackOptions::default()
    };
    World::story(options, 2, async |world| {
        let ledger = world.stack.ledger();
        // The first account is known here and has leased in advance, the second is not.
        let mut heard = world.until_leased(0, &Ask::whole(1)).await?;
        ensure!(heard.iter().all(|heard| heard.complete().is_some()), "{heard:?}");
        let before = heard.len();
        let away = tokio::time::Instant::now();
        ledger.kill();
        let position = world.number("select position from ledger.head").await?;
        let stranger = world.ask(0, 1, &Ask::whole(1)).await;
        let Ended::Refused { status: 503, retry_after: Some(1..), code, .. } = &stranger.ended else {
            anyhow::bail!("{stranger:?}");
        };
        ensure!(code == "authentication_unavailable", "{code}");
        let refusal = loop {
            let next = world.ask(0, 0, &Ask::whole(1)).await;
            if next.complete().is_none() {
                break next;
            }
            heard.push(next);
            ensure!(heard.len() < 10_000, "one lease does not last for ever");
        };
        ensure!(heard.len() >= before + 3, "only {} requests were paid from the lease", heard.len() - before);
        let Ended::Refused { status: 503, retry_after: Some(1..), code, .. } = &refusal.ended else {
            anyhow::bail!("{refusal:?}");
        };
        ensure!(code == "authorization_unavailable", "{code}");
        ensure!(world.number("select position from ledger.head").await? == position, "somebody wrote to the books");
        tokio::time::sleep_until(away + LEASE * 2).await;
        blocking(|| {
            ledger.start()?;
            ledger.wait_ready().context("the ledger")
        })?;
        heard.extend([stranger, refusal]);
        heard.extend(world.ask_until_answered(0, 0, &Ask::whole(1)).await?);
        heard.extend(world.ask_until_answered(0, 1, &Ask::whole(1)).await?);
        world.prove(&heard).await?;
        ensure!(
            world.number("select count(*) from ledger.lives").await? == 1,
            "the gateway was fenced for the ledger's own absence"
        );
        Ok(())
    })
    .await;
}
