//! Answers on NATS: commands, leases, registrations, confirmations. Only the ledger that holds the epoch listens.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::connection::State;
use async_nats::jetstream::Context;
use async_nats::{Client, Message};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use schemas::api_key::KeyHash;
use schemas::message::{
    AccountRef, AddCredits, AdjustCredits, AskCheckpoint, CheckpointReply, Confirm, Confirmed, Heartbeat, IssueKey,
    KeyRevokedReply, LookUpKey, OpenAccount, PublishPriceBook, Refusal, RefusalCode, Register, Registered, ReserveKey,
    RevokeKey, SetMargins, SetTier, TierChangedNotice, TierReply, command_name,
};
use schemas::subject::Cell;
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;

use crate::append::{Command, Outcome, Submit, View, answer};
use crate::checkpoint::{Checkpoints, Signed};
use crate::command::{
    DismissEntry, RegisterLife, ReplayEntry, current_prices, list_accounts, list_keys, look_up_key, revoked,
};
use crate::life::{Heard, LifeState, open_gates, tick};
use crate::recall::Leases;
use crate::stream::{Announcer, Generations, Reading};

/// A registration that takes longer is of no use: the gateway has given it up.
const REGISTRATION: Duration = Duration::from_secs(3);
/// Beacons go out this often.
const BEACON: Duration = Duration::from_secs(1);

/// Everything that answering takes.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Listener {
    pub client: Client,
    pub jetstream: Context,
    pub cell: Cell,
    pub submit: Submit,
    pub leases: Leases,
    pub checkpoints: Checkpoints,
    pub view: watch::Receiver<View>,
    pub reading: Reading,
    pub generations: Generations,
    pub announcer: Announcer,
    pub heard: std::sync::Arc<Mutex<Heard>>,
    pub pool: PgPool,
    pub lease: Duration,
    pub request: Duration,
    pub tasks: TaskTracker,
}

impl Listener {
    /// Listens and speaks for ever. Neither waits for the other: what is said may wait for NATS.
    pub async fn run(self) -> Result<()> {
        tokio::select! {
            ended = self.listen() => ended,
            ended = self.speak() => ended,
        }
    }

    async fn listen(&self) -> Result<()> {
        let mut commands = self.client.subscribe(self.cell.commands()).await?;
        let mut leases = self.client.subscribe(self.cell.lease()).await?;
        let mut registrations = self.client.subscribe(self.cell.register()).await?;
        let mut confirmations = self.client.subscribe(self.cell.confirm()).await?;
        let mut heartbeats = self.client.subscribe(self.cell.heartbeat()).await?;
        let voice = self.client.new_inbox();
        let mut own_voice = self.client.subscribe(voice.clone()).await?;
        let mut breath = tokio::time::interval(tick(self.lease));
        breath.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let gone = || anyhow::anyhow!("the connection to NATS was given up");
            tokio::select! {
                message = leases.next() => self.answer(message.ok_or_else(gone)?, Kind::Lease),
                message = commands.next() => self.answer(message.ok_or_else(gone)?, Kind::Command),
                message = registrations.next() => self.answer(message.ok_or_else(gone)?, Kind::Register),
                message = confirmations.next() => self.answer(message.ok_or_else(gone)?, Kind::Confirm),
                message = heartbeats.next() => {
                    if let Ok(heartbeat) = serde_json::from_slice::<Heartbeat>(&message.ok_or_else(gone)?.payload) {
                        self.heard.lock().beat(&heartbeat, Instant::now());
                    }
                }
                message = own_voice.next() => {
                    message.ok_or_else(gone)?;
                    self.heard.lock().own_voice(Instant::now(), self.lease / 2);
                }
                _ = breath.tick() => {
                    // Without a connection it would be said all at once when there is one again.
                    if self.client.connection_state() == State::Connected {
                        self.client.publish(voice.clone(), Bytes::new()).await?;
                    }
                }
            }
        }
    }

    async fn speak(&self) -> Result<()> {
        let mut beacon = tokio::time::interval(BEACON);
        let mut view = self.view.clone();
        let mut generation = 0;
        loop {
            tokio::select! {
                _ = beacon.tick() => {
                    self.beacon().await?;
                    let heard = self.heard.lock();
                    self.announcer.again(|emitter| heard.silence(emitter) < self.lease);
                }
                changed = view.changed() => {
                    changed.context("the writer is gone")?;
                    let now = view.borrow_and_update().head.generation;
                    if now != generation && self.reading.following() {
                        generation = now;
                        self.beacon().await?;
                    }
                }
            }
        }
    }

    fn answer(&self, message: Message, kind: Kind) {
        let this = self.clone();
        self.tasks.spawn(async move {
            let outcome = match kind {
                Kind::Lease => this.lease(&message.payload).await,
                Kind::Command => this.command(&message).await,
                Kind::Register => this.register(&message.payload).await,
                Kind::Confirm => this.confirm(&message.payload).await,
            };
            let Some(reply) = message.reply else { return };
            // `Reply<T>` as JSON; the answer's bytes are JSON already.
            let bytes = match outcome {
                Ok(ok) => [b"{\"Ok\":", ok.as_slice(), b"}"].concat(),
                Err(refusal) => serde_json::to_vec(&Err::<(), _>(refusal)).unwrap_or_default(),
            };
            if let Err(error) = this.client.publish(reply, bytes.into()).await {
                tracing::warn!(%error, "an answer could not be sent");
            }
        });
    }

    async fn lease(&self, payload: &[u8]) -> Outcome {
        self.leases.lease(read(payload)?).await
    }

    async fn command(&self, message: &Message) -> Outcome {
        let name = message.subject.rsplit('.').next().unwrap_or_default();
        let payload = &message.payload;
        match name {
            command_name::OPEN_ACCOUNT => self.carry_out::<OpenAccount>(payload).await,
            command_name::ACCOUNT => self.carry_out::<AccountRef>(payload).await,
            command_name::ADD_CREDITS => self.carry_out::<AddCredits>(payload).await,
            command_name::ADJUST_CREDITS => self.leases.adjust(read::<AdjustCredits>(payload)?).await,
            command_name::ISSUE_KEY => self.carry_out::<IssueKey>(payload).await,
            command_name::PUBLISH_PRICE_BOOK => self.carry_out::<PublishPriceBook>(payload).await,
            command_name::SET_MARGINS => self.carry_out::<SetMargins>(payload).await,
            command_name::LIST_ACCOUNTS => answer(&list_accounts(&self.pool, &read(payload)?).await?),
            command_name::LIST_KEYS => answer(&list_keys(&self.pool, &read(payload)?).await?),
            command_name::RESERVE_KEY => self.carry_out::<ReserveKey>(payload).await,
            command_name::REPLAY_QUARANTINED => {
                self.submit.command(ReplayEntry::read(&self.pool, read(payload)?).await?).await
            }
            command_name::DISMISS_QUARANTINED => {
                self.submit.command(DismissEntry::read(&self.pool, read(payload)?).await?).await
            }
            command_name::LOOK_UP_KEY => {
                let ask: LookUpKey = read(payload)?;
                answer(&look_up_key(&self.pool, &ask).await?)
            }
            command_name::PRICE_BOOK => answer(&current_prices(&self.pool).await?),
            command_name::CHECKPOINT => {
                let ask: AskCheckpoint = read(payload)?;
                let Signed { size, root, note } = self.checkpoints.covering(ask.position).await?;
                answer(&CheckpointReply { size, root, note: note.to_string() })
            }
            command_name::SET_TIER => {
                let outcome = self.carry_out::<SetTier>(payload).await?;
                if let Ok(TierReply { account_id, tier, .. }) = serde_json::from_slice(&outcome) {
                    let notice = TierChangedNotice { account_id, tier };
                    self.tell(self.cell.tier_changed(), &notice).await.map_err(unavailable)?;
                }
                Ok(outcome)
            }
            command_name::REVOKE_KEY => {
                let outcome = self.carry_out::<RevokeKey>(payload).await?;
                let (reply, hash): (KeyRevokedReply, KeyHash) =
                    serde_json::from_slice(&outcome).map_err(|error| unavailable(error.into()))?;
                let mut view = self.view.clone();
                revoked(&self.client, &self.cell, &mut view, hash, reply.position).await.map_err(unavailable)?;
                answer(&reply)
            }
            _ => Err(Refusal { code: RefusalCode::UnknownCommand, message: format!("no command is named '{name}'") }),
        }
    }

    async fn carry_out<C: Command + DeserializeOwned + 'static>(&self, payload: &[u8]) -> Outcome {
        self.submit.command_ahead(read::<C>(payload)?).await
    }

    /// Opens gates, puts the life on record, and answers only once the reader has passed the gates: then the gates are
    /// before the message by which the stream is known again.
    async fn register(&self, payload: &[u8]) -> Outcome {
        let ask: Register = read(payload)?;
        tokio::time::timeout(REGISTRATION, self.register_now(ask))
            .await
            .map_err(|_| Refusal { code: RefusalCode::Unavailable, message: "registration took too long".to_owned() })?
    }

    async fn register_now(&self, ask: Register) -> Outcome {
        let not_now = || Refusal { code: RefusalCode::Unavailable, message: "the stream is being opened".to_owned() };
        let (generation, _) = self.reading.stream().ok_or_else(not_now)?;
        let gates = open_gates(&self.jetstream, &self.cell, generation, ask.gateway).await.map_err(unavailable)?;
        let last = gates.iter().copied().max().unwrap_or(0);
        self.heard.lock().registered(ask.gateway, Instant::now());
        let life = RegisterLife { gateway: ask.gateway, process: ask.process, generation, gates: gates.clone() };
        self.submit.command(life).await?;
        let passed = |view: &View| view.head.generation != generation || view.head.stream_seq >= last;
        let head = self.view.clone().wait_for(passed).await.map_err(|error| unavailable(error.into()))?.head;
        if head.generation != generation {
            return Err(not_now());
        }
        tracing::info!(gateway = %ask.gateway, generation, "a life was registered");
        answer(&Registered {
            generation,
            gates,
            lease_ms: self.lease.as_millis() as u64,
            request_ms: self.request.as_millis() as u64,
            price_book: current_prices(&self.pool).await?.book,
        })
    }

    /// A life is open if it is on record as open and the stream still is the one that its gates are in, seen just now.
    async fn confirm(&self, payload: &[u8]) -> Outcome {
        let ask: Confirm = read(payload)?;
        let view = self.view.borrow().clone();
        let on_record = view.head.generation == ask.generation
            && view.lives.get(&ask.gateway).is_some_and(|life| life.state == LifeState::Open);
        if !on_record {
            return answer(&Confirmed { open: false });
        }
        let not_now = || Refusal { code: RefusalCode::Unavailable, message: "the stream is being opened".to_owned() };
        let (generation, stream) = self.reading.stream().ok_or_else(not_now)?;
        let anchor = view.head.anchor.filter(|_| generation == ask.generation).ok_or_else(not_now)?;
        let there = self.generations.is_there(&stream, view.head.stream_seq, anchor).await.map_err(unavailable)?;
        if there { answer(&Confirmed { open: true }) } else { Err(not_now()) }
    }

    async fn beacon(&self) -> Result<()> {
        let Some((_, stream)) = self.reading.stream() else { return Ok(()) };
        let view = self.view.borrow().clone();
        let stream_used_percent = match stream.get_info().await {
            Ok(info) => {
                let limit = u64::try_from(info.config.max_bytes).unwrap_or(0).max(1);
                u8::try_from((info.state.bytes.saturating_mul(100) / limit).min(100)).unwrap_or(100)
            }
            Err(error) => {
                tracing::debug!(%error, "how full the stream is could not be seen");
                return Ok(());
            }
        };
        let beacon = schemas::message::Beacon {
            epoch: view.head.epoch,
            generation: view.head.generation,
            position: view.head.position,
            stream_used_percent,
            price_version: view.price_version,
        };
        self.tell(self.cell.beacon(), &beacon).await
    }

    async fn tell(&self, subject: String, notice: &impl serde::Serialize) -> Result<()> {
        self.client.publish(subject, serde_json::to_vec(notice)?.into()).await?;
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Lease,
    Command,
    Register,
    Confirm,
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(payload)
        .map_err(|error| Refusal { code: RefusalCode::Malformed, message: format!("not of its form: {error}") })
}

fn unavailable(error: anyhow::Error) -> Refusal {
    Refusal { code: RefusalCode::Unavailable, message: format!("{error:#}") }
}
