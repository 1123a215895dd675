//! What the ledger and the other gateways say to everyone.

use std::sync::Arc;

use async_nats::Message;
use futures_util::StreamExt;
use schemas::message::{Beacon, Heartbeat, PriceBookReply, RevocationSeen, Revoked, TierChangedNotice, command_name};
use serde::de::DeserializeOwned;

use super::handle::Inner;

/// Begins to listen; returns once the server knows of it.
pub(super) async fn listen(till: &Arc<Inner>) -> anyhow::Result<()> {
    let (bus, cell) = (&till.shared.bus, &till.shared.cell);
    let mut beacons = bus.hear(cell.beacon()).await?;
    let mut revocations = bus.hear(cell.revoked()).await?;
    let mut tiers = bus.hear(cell.tier_changed()).await?;
    let mut heartbeats = bus.hear(cell.heartbeat()).await?;
    let till = till.clone();
    let shared = till.shared.clone();
    let listening = async move {
        loop {
            tokio::select! {
                // First what is answered: somebody waits for it.
                biased;
                () = till.shared.stop.cancelled() => return,
                Some(message) = revocations.next() => revoked(&till, &message).await,
                Some(message) = beacons.next() => beacon(&till, &message),
                Some(message) = tiers.next() => {
                    if let Some(notice) = read::<TierChangedNotice>(&message) {
                        till.keys.tier_changed(&till.shared, notice.account_id, notice.tier);
                    }
                }
                Some(message) = heartbeats.next() => {
                    if let Some(beat) = read::<Heartbeat>(&message) {
                        let now = till.shared.now();
                        till.peers.lock().heard(beat.process, beat.leaving, now);
                        till.count_gateways();
                    }
                }
            }
        }
    };
    shared.background.spawn_on(listening, &shared.runtime);
    Ok(())
}

fn read<T: DeserializeOwned>(message: &Message) -> Option<T> {
    serde_json::from_slice(&message.payload)
        .inspect_err(|error| tracing::warn!(subject = %message.subject, %error, "a broadcast cannot be read"))
        .ok()
}

/// The refusal is in force before the answer leaves.
async fn revoked(till: &Inner, message: &Message) {
    let Some(notice) = read::<Revoked>(message) else { return };
    till.keys.revoke(notice.key_hash);
    till.shared.metrics.revocations.add_one();
    if let Some(reply) = &message.reply {
        till.shared.bus.say(reply.clone(), &RevocationSeen { lives: till.lives.names() }).await;
    }
}

fn beacon(till: &Arc<Inner>, message: &Message) {
    let Some(beacon) = read::<Beacon>(message) else { return };
    let shared = &till.shared;
    shared.hear(&beacon);
    for life in till.lives.all() {
        life.outbox().ledger_heard(shared.now());
    }
    if beacon.generation > shared.generation() {
        shared.set_generation(beacon.generation);
    }
    if let Some(life) = till.lives.current()
        && beacon.generation > life.generation
    {
        life.end("the ledger reads another generation of the stream");
    }
    if beacon.price_version > shared.prices.load().version {
        let shared = shared.clone();
        let (background, runtime) = (shared.background.clone(), shared.runtime.clone());
        let fetching = async move {
            let within = std::time::Duration::from_secs(2);
            let subject = shared.cell.command(command_name::PRICE_BOOK);
            match shared.bus.ask::<PriceBookReply>(subject, &(), within).await {
                Ok(Ok(reply)) => shared.learn_prices(&reply.book),
                // The next beacon says it again.
                Ok(Err(refusal)) => tracing::warn!(%refusal, "the new prices cannot be fetched"),
                Err(silence) => tracing::warn!(%silence, "the new prices cannot be fetched"),
            }
        };
        background.spawn_on(fetching, &runtime);
    }
}
