//! Ends lives that are silent, and holds that nobody will end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;
use parking_lot::Mutex;
use schemas::event::{AuthorizationExpired, ExpiryReason, Payload};
use schemas::ids::{EmitterId, RequestId};
use schemas::message::{Refusal, RefusalCode};
use schemas::subject::Cell;
use sqlx::PgPool;
use tokio::sync::watch;

use super::{Heard, LifeState, close_gates, purge};
use crate::append::{Batch, Command, Outcome, Submit, Touched, View, answer};
use crate::stream::{Generations, Reading};

/// Purging is housekeeping: it costs the broker more than it saves if done often.
const PURGE_EVERY: Duration = Duration::from_secs(10);
/// As many holds as are ended in one command.
const EXPIRE_AT_ONCE: i64 = 500;

/// Lives of this generation whose gates were closed and are to be purged; with the place at which their fence was seen to be
/// complete, once it was.
type Over = BTreeMap<EmitterId, Option<u64>>;

/// Looks after lives and their holds.
pub struct Keeper {
    /// Commands go to the writer.
    pub submit: Submit,
    /// As of the last commit.
    pub view: watch::Receiver<View>,
    /// What the reader does.
    pub reading: Reading,
    /// Heartbeats.
    pub heard: std::sync::Arc<Mutex<Heard>>,
    /// To close gates.
    pub jetstream: Context,
    /// Its connection.
    pub client: async_nats::Client,
    /// To know the stream again.
    pub generations: Generations,
    /// Names.
    pub cell: Cell,
    /// To find open holds.
    pub pool: PgPool,
    /// Silent for longer, a life is fenced.
    pub lease: Duration,
    /// The longest that a request may run.
    pub request: Duration,
}

/// How often lives are looked at.
pub fn tick(lease: Duration) -> Duration {
    (lease / 10).clamp(Duration::from_millis(50), Duration::from_millis(250))
}

impl Keeper {
    /// Looks for ever.
    pub async fn run(self) -> Result<()> {
        let mut tick = tokio::time::interval(tick(self.lease));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut purged = Instant::now();
        let (mut over, mut of_generation) = (Over::new(), 0);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.reading.opened.notified() => self.heard.lock().listen_anew(Instant::now()),
            }
            let Some((generation, stream)) = self.reading.stream() else {
                self.heard.lock().listen_anew(Instant::now());
                continue;
            };
            if generation != of_generation {
                over.clear();
                of_generation = generation;
            }
            if let Err(error) = self.fence(generation, &mut over).await {
                tracing::warn!(error = %format!("{error:#}"), "a fence goes on later");
            }
            if let Err(error) = self.expire().await {
                tracing::warn!(error = %format!("{error:#}"), "holds are expired later");
            }
            if purged.elapsed() > PURGE_EVERY {
                purged = Instant::now();
                if let Err(error) = self.purge(generation, &stream, &mut over).await {
                    tracing::warn!(error = %format!("{error:#}"), "the stream is purged later");
                }
            }
        }
    }

    /// Purged is what was applied before the last message, so the gates of a life are gone only once something was applied
    /// after the last of them was read back closed.
    async fn purge(&self, generation: u64, stream: &Stream, over: &mut Over) -> Result<()> {
        let (head, lives) = {
            let view = self.view.borrow();
            (view.head, view.lives.clone())
        };
        if head.generation != generation {
            return Ok(());
        }
        for (gateway, complete_at) in over.iter_mut() {
            if complete_at.is_none() && lives.get(gateway).is_none_or(|life| life.state == LifeState::Fenced) {
                *complete_at = Some(head.stream_seq);
            }
        }
        let gone: Vec<EmitterId> = over.keys().copied().collect();
        purge(&self.client, &self.generations, stream, &self.cell, &head, &gone).await?;
        over.retain(|_, complete_at| complete_at.is_none_or(|at| at >= head.stream_seq));
        Ok(())
    }

    async fn fence(&self, generation: u64, over: &mut Over) -> Result<()> {
        let lives = self.view.borrow().lives.clone();
        self.heard.lock().forget(|life| lives.contains_key(&life));
        for (gateway, life) in lives.iter() {
            let (silence, leaving) = {
                let heard = self.heard.lock();
                (heard.silence(*gateway), heard.is_leaving(*gateway))
            };
            match life.state {
                LifeState::Open if silence > self.lease || leaving => {
                    tracing::warn!(gateway = %gateway, silence_ms = silence.as_millis() as u64, leaving, "fencing a life");
                    self.submit.command(BeginFence { gateway: *gateway }).await?;
                    if life.generation == generation {
                        close_gates(&self.jetstream, &self.cell, generation, *gateway, life.gates_to_close()).await?;
                        over.entry(*gateway).or_default();
                    }
                }
                LifeState::Fencing if life.generation != generation => {
                    // Its stream was given up and has been read to its end: there are no gates to close.
                    self.submit.command(CompleteFence { gateway: *gateway }).await?;
                }
                LifeState::Fencing => {
                    close_gates(&self.jetstream, &self.cell, generation, *gateway, life.gates_to_close()).await?;
                    over.entry(*gateway).or_default();
                }
                LifeState::Open | LifeState::Fenced => {}
            }
        }
        Ok(())
    }

    /// Open holds of lives that are over end after the longest time that a request may run; and not before the ledger
    /// has caught up and listened for one lease time, since what would end them may be on its way.
    async fn expire(&self) -> Result<()> {
        if !self.reading.caught_up() || self.heard.lock().listening() < self.lease {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select request_id, account_id from ledger.holds
             join ledger.emitters on emitter = gateway and fenced
             where hold is not null and charged is null and (ending is null or ending = 'deducted')
               and authorized_time < now() - make_interval(secs => $1)
             limit $2",
            self.request.as_secs_f64(),
            EXPIRE_AT_ONCE
        )
        .fetch_all(&self.pool)
        .await?;
        if !rows.is_empty() {
            let requests: Vec<RequestId> = rows.iter().map(|row| RequestId(row.request_id)).collect();
            tracing::warn!(holds = requests.len(), "expiring holds of fenced gateways");
            self.submit.command(Expire { requests }).await?;
        }
        Ok(())
    }
}

/// From here on the life is granted nothing, whichever ledger is active.
pub struct BeginFence {
    /// The life.
    pub gateway: EmitterId,
}

impl Command for BeginFence {
    fn touches(&self, _: &mut Touched) {}

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        if let Some(life) = batch.state.lives.get_mut(&self.gateway)
            && life.state == LifeState::Open
        {
            life.state = LifeState::Fencing;
            batch.written.lives.insert(self.gateway);
        }
        answer(&())
    }
}

/// Ends a life whose stream was given up.
pub struct CompleteFence {
    /// The life.
    pub gateway: EmitterId,
}

impl Command for CompleteFence {
    fn touches(&self, touched: &mut Touched) {
        touched.whole_lives.insert(self.gateway);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        if batch.state.lives.get(&self.gateway).is_some_and(|life| life.state == LifeState::Fencing) {
            batch
                .complete_fence(self.gateway)
                .map_err(|error| Refusal { code: RefusalCode::Unavailable, message: error.to_string() })?;
        }
        answer(&())
    }
}

/// Ends open holds of lives that are over.
pub struct Expire {
    /// Those that have ended meanwhile are left as they are.
    pub requests: Vec<RequestId>,
}

impl Command for Expire {
    fn touches(&self, touched: &mut Touched) {
        touched.holds.extend(&self.requests);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        for request_id in &self.requests {
            let Some(hold) = batch.state.books.holds.get(request_id).filter(|hold| !hold.slots.has_ended()) else {
                continue;
            };
            let account_id = hold.account_id;
            let livemode = batch.state.books.accounts.get(&account_id).is_none_or(|account| account.livemode);
            let payload =
                Payload::AuthorizationExpired(Box::new(AuthorizationExpired { reason: ExpiryReason::GatewayFenced }));
            if let Err(error) = batch.say(payload, Some((account_id, livemode)), Some(*request_id)) {
                tracing::error!(request.id = %request_id, %error, "a hold could not be expired");
            }
        }
        answer(&())
    }
}
