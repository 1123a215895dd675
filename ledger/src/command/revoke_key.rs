use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use schemas::api_key::KeyHash;
use schemas::books::ApiKey;
use schemas::event::{ApiKeyRevoked, Payload};
use schemas::ids::EmitterId;
use schemas::message::{KeyRef, KeyRevokedReply, RefusalCode, RevocationSeen, RevokeKey, Revoked};
use schemas::subject::Cell;
use tokio::sync::watch;

use super::{contradicted, known, refusal};
use crate::append::{Batch, Command, Outcome, Touched, View, answer};
use crate::life::LifeState;

/// Said again so often to gateways that have not answered.
const AGAIN: Duration = Duration::from_millis(200);

impl Command for RevokeKey {
    fn touches(&self, touched: &mut Touched) {
        match self.key {
            KeyRef::Id(id) => touched.keys.insert(id),
            KeyRef::Hash(hash) => touched.key_hashes.insert(hash),
        };
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let is_it = |key: &&ApiKey| match self.key {
            KeyRef::Id(id) => key.api_key_id == id,
            KeyRef::Hash(hash) => key.key_hash == hash,
        };
        let key = batch.state.books.keys.values().find(is_it);
        let key = key.ok_or_else(|| refusal(RefusalCode::UnknownKey, "there is no such key"))?.clone();
        let mut position = batch.state.head.position;
        if !key.revoked {
            let livemode = known(batch, key.account_id)?.livemode;
            let payload = Payload::ApiKeyRevoked(Box::new(ApiKeyRevoked {
                api_key_id: key.api_key_id,
                key_hash: key.key_hash,
                by: self.by.clone(),
                why: self.why.clone(),
            }));
            position = batch.say(payload, Some((key.account_id, livemode)), None).map_err(contradicted)?;
        }
        // The hash goes along for the broadcast; the caller gets the rest.
        answer(&(KeyRevokedReply { api_key_id: key.api_key_id, position }, key.key_hash))
    }
}

/// Tells every gateway, and returns when each that can authorize has answered or is fenced.
pub async fn revoked(
    client: &async_nats::Client,
    cell: &Cell,
    view: &mut watch::Receiver<View>,
    key_hash: KeyHash,
    position: u64,
) -> anyhow::Result<()> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    let notice: bytes::Bytes = serde_json::to_vec(&Revoked { key_hash, position })?.into();
    let mut seen: HashSet<EmitterId> = HashSet::new();
    let mut again = tokio::time::interval(AGAIN);
    loop {
        let open = |view: &View| {
            let lives = view.lives.iter().filter(|(_, life)| life.state != LifeState::Fenced);
            lives.map(|(gateway, _)| *gateway).collect::<Vec<_>>()
        };
        if open(&view.borrow()).iter().all(|gateway| seen.contains(gateway)) {
            return Ok(());
        }
        tokio::select! {
            _ = again.tick() => {
                client.publish_with_reply(cell.revoked(), inbox.clone(), notice.clone()).await?;
            }
            answer = answers.next() => {
                let answer = answer.ok_or_else(|| anyhow::anyhow!("the connection to NATS was given up"))?;
                if let Ok(answer) = serde_json::from_slice::<RevocationSeen>(&answer.payload) {
                    seen.extend(answer.lives);
                }
            }
            changed = view.changed() => changed?,
        }
    }
}
