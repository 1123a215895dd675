use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use chrono::Utc;
use schemas::ids::EmitterId;
use schemas::merkle::{Edge, leaf_hash};
use schemas::message::{Refusal, RefusalCode};
use serde::Serialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::sync::watch;

use super::batch::{Batch, Repeat, Written};
use super::head::Head;
use super::inbox::{Inbox, Item};
use super::load::{self, LoadError};
use super::state::State;
use super::store::{StoreError, store};
use super::touched::Touched;
use crate::life::Life;
use crate::stream::Announcer;
use crate::tree;

/// As many items as one commit takes.
const BATCH: usize = 1_000;
/// Beyond so many rows in memory the state is forgotten and loaded anew as needed.
const REMEMBERED: usize = 400_000;
/// By this name `public.position_at` knows an append that runs, and may still bring events that were recorded by now.
const SESSION: &str = "ledger-append";
/// PostgreSQL ends the transaction of a writer that is paused in the midst of it, so that a standby is not kept waiting.
const SILENCE: &str = "3s";
/// What the writer looks up, it looks up by key. Tables grow by millions of rows beneath a prepared plan, and a planner that took
/// one for small reads all of it for each batch: a lease then waits for a third of a second.
const BY_KEY: [(&str, &str); 3] = [("enable_seqscan", "off"), ("enable_hashjoin", "off"), ("enable_mergejoin", "off")];
/// A restart of PostgreSQL takes a second or two; asked this often, it is noticed at once.
const RETRY: Duration = Duration::from_millis(200);

/// What a command's answer is, as JSON.
pub type Outcome = Result<Vec<u8>, Refusal>;

/// Something that may be refused. It is decided on the writer's state, within a batch.
pub trait Command: Send + Sync {
    /// Names what `decide` looks at.
    fn touches(&self, touched: &mut Touched);
    /// Says events or refuses; checks everything before it says the first.
    fn decide(&self, batch: &mut Batch<'_>) -> Outcome;
}

/// An answer as JSON.
pub fn answer(value: &impl Serialize) -> Outcome {
    serde_json::to_vec(value).map_err(|error| Refusal {
        code: RefusalCode::Unavailable,
        message: format!("the answer is not JSON: {error}"),
    })
}

/// What others see of the writer: as of its last commit.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The log's end.
    pub head: Head,
    /// The right edge of the log's tree: its size is the position.
    pub edge: Edge,
    /// Lives that are not over.
    pub lives: Arc<HashMap<EmitterId, Life>>,
    /// Version of the prices in force.
    pub price_version: u32,
}

/// The one task that writes.
pub struct Writer {
    options: PgConnectOptions,
    db: PgConnection,
    state: State,
    inbox: Inbox,
    view: watch::Sender<View>,
    announcer: Announcer,
    /// False only where the tree's cost is measured.
    has_tree: bool,
}

enum Failure {
    /// Constraints refused the batch.
    Refused(String),
    /// The database is away; try again.
    Away(anyhow::Error),
    /// The commit was sent, and no answer came.
    Unknown(anyhow::Error),
    /// Nothing that trying again could mend.
    Fatal(anyhow::Error),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database(error) => error.into(),
            LoadError::Corrupt(error) => Self::Fatal(error.into()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        // Class 23 is integrity constraint violation; what the database answers besides is about the server's health.
        match error.as_database_error().and_then(|error| error.code()) {
            Some(code) if code.starts_with("23") => Self::Refused(error.to_string()),
            Some(code) if code.starts_with("42") || code.starts_with("22") => Self::Fatal(error.into()),
            _ => Self::Away(error.into()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(error) => error.into(),
            stale @ (StoreError::StaleEpoch | StoreError::Json(_)) => Self::Fatal(stale.into()),
        }
    }
}

impl Writer {
    /// Takes the epoch over: from now on every write of an older ledger fails.
    pub async fn take_over(
        options: PgConnectOptions,
        inbox: Inbox,
        announcer: Announcer,
    ) -> Result<(Self, watch::Receiver<View>)> {
        let options = options
            .application_name(SESSION)
            .options([("idle_in_transaction_session_timeout", SILENCE)])
            .options(BY_KEY);
        let mut db = options.connect().await.context("cannot connect to PostgreSQL")?;
        sqlx::query!("update ledger.head set epoch = epoch + 1").execute(&mut db).await?;
        let mut state = State::default();
        state.own.emitter = EmitterId(uuid::Uuid::now_v7());
        state.head = load::head(&mut db).await?;
        tree::fill(&mut db, state.head.epoch).await?;
        state.tree = tree::load(&mut db, state.head.position).await?;
        load::standing(&mut db, &mut state).await?;
        let (view, watched) = watch::channel(View::default());
        let writer = Self { options, db, state, inbox, view, announcer, has_tree: true };
        writer.show();
        Ok((writer, watched))
    }

    /// For `benches/append.rs`, which measures what the tree costs. The next start makes up for it.
    #[doc(hidden)]
    pub fn without_tree(self) -> Self {
        Self { has_tree: false, ..self }
    }

    /// Writes until nobody sends any more, or another ledger has taken over.
    pub async fn run(mut self) -> Result<()> {
        let mut items = Vec::with_capacity(BATCH);
        while self.inbox.collect(&mut items, BATCH).await {
            let batch = std::mem::take(&mut items);
            self.write(batch).await?;
        }
        Ok(())
    }

    async fn write(&mut self, items: Vec<Item>) -> Result<()> {
        let mut todo = vec![items];
        while let Some(items) = todo.pop() {
            let before = (self.state.head, self.state.own);
            match self.attempt(&items).await {
                Ok((replies, written)) => self.committed(items, replies, &written),
                Err((failure, done)) => {
                    let after = (self.state.head, self.state.own);
                    let committed = self.recover(&failure, before.0, after.0).await?;
                    if committed {
                        self.state.own = after.1;
                        let (replies, written) = done.unwrap_or_default();
                        self.committed(items, replies, &written);
                        continue;
                    }
                    self.state.own = before.1;
                    match failure {
                        Failure::Refused(reason) if items.len() == 1 => self.refuse(items, &reason).await?,
                        // Applied one by one, the others are not held back by the one that cannot be.
                        Failure::Refused(_) => todo.extend(items.into_iter().rev().map(|item| vec![item])),
                        _ => todo.push(items),
                    }
                }
            }
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    async fn attempt(
        &mut self,
        items: &[Item],
    ) -> Result<(Vec<Outcome>, Written), (Failure, Option<(Vec<Outcome>, Written)>)> {
        let mut touched = Touched::default();
        // After a reload its own counter is in the table only.
        touched.emitters.insert(self.state.own.emitter);
        for item in items {
            match item {
                Item::Message(message, event) => {
                    match event {
                        Some(Ok(event)) => touched.by_event(event),
                        Some(Err(unreadable)) => {
                            touched.emitters.extend(unreadable.header.map(|header| header.emitter))
                        }
                        None => {}
                    }
                    touched.by_gate(message);
                }
                Item::Command(command, _) => command.touches(&mut touched),
            }
        }
        let mut transaction = self.db.begin().await.map_err(|error| (Failure::Away(error.into()), None))?;
        load::touched(&mut transaction, &mut self.state, touched).await.map_err(|error| (error.into(), None))?;
        let position = self.state.head.position;
        let (place, generation) = (self.state.head.stream_seq, self.state.head.generation);
        let mut batch = Batch::new(&mut self.state, Utc::now(), uuid::Uuid::now_v7);
        let mut replies = Vec::new();
        for item in items {
            match item {
                Item::Message(message, event) => batch.read(message.clone(), event.clone()),
                Item::Command(command, _) => replies.push(command.decide(&mut batch)),
            }
        }
        let mut written = batch.written;
        if self.has_tree {
            written.tiles = self.state.tree.extend(written.events.iter().map(|row| leaf_hash(&row.bytes)));
        }
        let nothing = self.state.head.position == position
            && self.state.head.stream_seq == place
            && written.lives.is_empty()
            && written.reservations.is_empty()
            && written.quarantined.is_empty()
            && written.repeated.is_empty()
            && written.refused_again.is_empty()
            && self.state.head.generation == generation;
        if nothing {
            transaction.rollback().await.map_err(|error| (Failure::Away(error.into()), None))?;
            return Ok((replies, written));
        }
        store(&mut transaction, &self.state, &written).await.map_err(|error| (error.into(), None))?;
        let contradicting =
            check_repeats(&mut transaction, &written.repeats).await.map_err(|error| (error.into(), None))?;
        for (emitter, seq) in contradicting {
            self.state.quarantined.entry(emitter).or_default().insert(seq);
        }
        match transaction.commit().await {
            Ok(()) => Ok((replies, written)),
            Err(error) => Err((Failure::Unknown(error.into()), Some((replies, written)))),
        }
    }

    fn committed(&mut self, items: Vec<Item>, replies: Vec<Outcome>, written: &Written) {
        self.state.books.changed = Default::default();
        self.forget();
        self.show();
        for emitter in &written.heard {
            self.announcer.appended(*emitter, &self.state.appended(*emitter), self.state.head.position);
        }
        let waiting = items.into_iter().filter_map(|item| match item {
            Item::Command(_, reply) => Some(reply),
            Item::Message(..) => None,
        });
        for (reply, outcome) in waiting.zip(replies) {
            // Who asked may have stopped waiting.
            let _ = reply.send(outcome);
        }
    }

    /// Ended requests are not looked at again in the normal course of things; everything else stays until it is too much.
    fn forget(&mut self) {
        self.state.books.holds.retain(|_, hold| !hold.slots.has_ended());
        self.state.lives.retain(|_, life| life.state != crate::life::LifeState::Fenced);
        let books = &self.state.books;
        let kept =
            [books.accounts.len(), books.leases.len(), books.holds.len(), books.keys.len(), books.spending.len()];
        if kept.iter().sum::<usize>() + self.state.known_emitters.len() > REMEMBERED {
            let prices = std::mem::take(&mut self.state.books.prices);
            self.state.books = Default::default();
            self.state.books.prices = prices;
            self.state.known_emitters.clear();
            self.state.quarantined.clear();
        }
        self.state.books.references.clear();
        self.state.books.closed.clear();
    }

    fn show(&self) {
        self.view.send_modify(|view| {
            view.head = self.state.head;
            view.edge = self.state.tree.edge().clone();
            if *view.lives != self.state.lives {
                view.lives = Arc::new(self.state.lives.clone());
            }
            view.price_version = self.state.books.current_prices().map_or(0, |published| published.book.version);
        });
    }

    /// After a failure: what is in memory may be ahead of the database, so it is loaded anew. Says whether the batch
    /// was committed all the same. Only this process writes under its epoch, so the head tells.
    async fn recover(&mut self, failure: &Failure, before: Head, after: Head) -> Result<bool> {
        match failure {
            Failure::Fatal(error) => bail!("the ledger stops: {error:#}"),
            Failure::Refused(reason) => tracing::warn!(%reason, "a constraint refused a batch"),
            Failure::Away(error) | Failure::Unknown(error) => {
                tracing::warn!(error = %format!("{error:#}"), "PostgreSQL is away; waiting for it");
            }
        }
        loop {
            match self.reload(before.epoch).await {
                Ok(None) => break,
                Ok(Some(epoch)) => bail!(
                    "the ledger stops: another one has taken over (epoch {epoch}, this one's was {})",
                    before.epoch
                ),
                Err(LoadError::Corrupt(corrupt)) => bail!("the ledger stops: {corrupt}"),
                Err(LoadError::Database(error)) => {
                    tracing::warn!(%error, "PostgreSQL is still away");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        let now = self.state.head;
        let moved = (after.position, after.generation, after.stream_seq)
            != (before.position, before.generation, before.stream_seq);
        Ok(matches!(failure, Failure::Unknown(_)) && moved && now == after)
    }

    /// Loads the state anew, unless another ledger has taken over: then its epoch.
    async fn reload(&mut self, own_epoch: u64) -> Result<Option<u64>, LoadError> {
        self.db = self.options.connect().await?;
        let mut state = State { own: self.state.own, ..State::default() };
        // One snapshot, so that what is read belongs together whoever writes meanwhile.
        let mut snapshot = self.db.begin_with("begin isolation level repeatable read read only").await?;
        state.head = load::head(&mut snapshot).await?;
        if state.head.epoch != own_epoch {
            return Ok(Some(state.head.epoch));
        }
        state.tree = tree::load(&mut snapshot, state.head.position).await?;
        load::standing(&mut snapshot, &mut state).await?;
        snapshot.commit().await?;
        self.state = state;
        Ok(None)
    }

    /// One item that the database refused: its bytes are kept, or its sender is told.
    async fn refuse(&mut self, items: Vec<Item>, reason: &str) -> Result<()> {
        for item in items {
            match item {
                Item::Command(_, reply) => {
                    let message = format!("the database refused it: {reason}");
                    let _ = reply.send(Err(Refusal { code: RefusalCode::Unavailable, message }));
                }
                Item::Message(message, event) => {
                    let header = event.and_then(|event| event.map_or_else(|no| no.header, |event| Some(event.header)));
                    let moved = if message.recovered { None } else { Some((message.stream_seq, message.anchor())) };
                    let mut batch = Batch::new(&mut self.state, Utc::now(), uuid::Uuid::now_v7);
                    batch.quarantine(message, header.as_ref(), reason.to_owned());
                    let written = batch.written;
                    if let Some((stream_seq, anchor)) = moved {
                        self.state.head.stream_seq = stream_seq;
                        self.state.head.anchor = Some(anchor);
                    }
                    let mut transaction = self.db.begin().await?;
                    store(&mut transaction, &self.state, &written).await?;
                    transaction.commit().await?;
                    self.committed(Vec::new(), Vec::new(), &written);
                }
            }
        }
        Ok(())
    }
}

/// A repeat whose bytes are not those that are stored contradicts the book: it goes to the quarantine. Says which did.
async fn check_repeats(db: &mut PgConnection, repeats: &[Repeat]) -> Result<Vec<(EmitterId, u64)>, StoreError> {
    let mut contradicting = Vec::new();
    if repeats.is_empty() {
        return Ok(contradicting);
    }
    let emitters: Vec<_> = repeats.iter().map(|repeat| repeat.emitter.0).collect();
    let seqs: Vec<i64> = repeats.iter().map(|repeat| repeat.seq as i64).collect();
    let rows = sqlx::query!(
        "select emitter, seq, event from ledger.events
         join unnest($1::uuid[], $2::bigint[]) as wanted(emitter, seq) using (emitter, seq)",
        &emitters,
        &seqs
    )
    .fetch_all(&mut *db)
    .await?;
    let stored: HashMap<_, _> = rows.iter().map(|row| ((row.emitter, row.seq), &row.event)).collect();
    for repeat in repeats {
        let known = stored.get(&(repeat.emitter.0, repeat.seq as i64));
        if known.is_none_or(|known| known.as_slice() == repeat.message.payload.as_ref()) {
            continue;
        }
        let reason = "another event has this emitter and seq";
        tracing::error!(emitter = %repeat.emitter, seq = repeat.seq, reason, "quarantined a message");
        sqlx::query!(
            "insert into ledger.quarantine (generation, stream_seq, subject, emitter, seq, reason, message)
             values ($1, $2, $3, $4, $5, $6, $7)",
            repeat.message.generation as i64,
            repeat.message.stream_seq as i64,
            repeat.message.subject,
            repeat.emitter.0,
            repeat.seq as i64,
            reason,
            repeat.message.payload.as_ref()
        )
        .execute(&mut *db)
        .await?;
        contradicting.push((repeat.emitter, repeat.seq));
    }
    Ok(contradicting)
}
