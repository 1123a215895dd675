//! A ledger in memory: the same fold of the books, a real stream, and none of the durability. A rejected event is a
//! failure of the test.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::{Client, HeaderMap, Message, jetstream};
use chrono::Utc;
use futures_util::StreamExt;
use parking_lot::Mutex;
use schemas::books::{Account, Applied, Books};
use schemas::event::{
    AccountOpened, CreditsAdded, Event, GatewayFenced, Header, LeaseGranted, Payload, PriceBookPublished,
};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, EventId};
use schemas::message::{
    Appended, Beacon, Confirm, Confirmed, Heartbeat, KeyRecord, LeaseReply, LeaseRequest, LookUpKey, PriceBookReply,
    Refusal, RefusalCode, Register, Registered, Reply, RevocationSeen, Revoked, command_name,
};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::subject::{Cell, GATES, StreamSubject};
use schemas::tier::Tier;
use serde::Serialize;
use stack::servers::NatsServer;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub struct SmallLedger {
    pub nats: NatsServer,
    pub cell: Cell,
    client: Client,
    books: Arc<Mutex<State>>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    books: Books,
    generation: u64,
    position: u64,
    own_seq: u64,
    closed_gates: HashMap<EmitterId, u16>,
    open: Vec<EmitterId>,
    keys: Vec<KeyRecord>,
    rejected: Vec<String>,
    heartbeats: Vec<Heartbeat>,
    deaf: bool,
    not_reading: bool,
    events: BTreeMap<&'static str, usize>,
}

impl SmallLedger {
    pub async fn start() -> Self {
        let nats = tokio::task::spawn_blocking(NatsServer::start).await.unwrap().unwrap();
        let client = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(20))
            .request_timeout(Some(Duration::from_secs(3)))
            .connect(nats.url())
            .await
            .unwrap();
        let (cell, tasks) = (Cell::new("test").unwrap(), TaskTracker::new());
        let ledger = Self { nats, cell, client, books: Arc::default(), tasks };
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
        let published = PriceBookPublished { book, by: "test".into(), why: "test".into() };
        ledger.books.lock().say(Payload::PriceBookPublished(Box::new(published)), None);
        ledger.next_generation().await;
        ledger.listen().await;
        ledger
    }

    pub fn account(&self, credits: i64) -> AccountId {
        let account_id = AccountId(Uuid::now_v7());
        let (by, why) = ("test".to_owned(), "test".to_owned());
        let opened = AccountOpened { tier: Tier::Team, counterpart: account_id, reference: None, by, why };
        let mut state = self.books.lock();
        state.say(Payload::AccountOpened(Box::new(opened)), Some(account_id));
        let amount = Nanocredits::from_credits(credits).unwrap();
        let (by, why) = ("test".to_owned(), "test".to_owned());
        let added = CreditsAdded { amount, reference: "first".into(), by, why };
        state.say(Payload::CreditsAdded(Box::new(added)), Some(account_id));
        account_id
    }

    pub fn key(&self, account_id: AccountId) -> schemas::api_key::Secret {
        let random = *Uuid::new_v4().as_bytes();
        let secret = schemas::api_key::Secret::from_random(true, &[random, random].concat().try_into().unwrap());
        let hash = Uuid::from_slice(&secret.hash().0[..16]).unwrap();
        self.books.lock().keys.push(KeyRecord {
            // The test's own way to find it again by its hash.
            api_key_id: ApiKeyId(hash),
            account_id,
            livemode: true,
            tier: Tier::Team,
            expires_at: None,
            restrictions: Default::default(),
            revoked: false,
            position: 1,
        });
        secret
    }

    /// Tells the gateways, and waits for the first answer.
    pub async fn revoke(&self, secret: &schemas::api_key::Secret) -> Vec<EmitterId> {
        let notice = Revoked { key_hash: secret.hash(), position: 1 };
        let asked = self.client.request(self.cell.revoked(), serde_json::to_vec(&notice).unwrap().into());
        serde_json::from_slice::<RevocationSeen>(&asked.await.unwrap().payload).unwrap().lives
    }

    pub fn money(&self, account_id: AccountId) -> Account {
        self.books.lock().books.accounts[&account_id].clone()
    }

    pub fn lives(&self) -> Vec<EmitterId> {
        self.books.lock().open.clone()
    }

    pub fn events(&self, event_type: &str) -> usize {
        self.books.lock().events.get(event_type).copied().unwrap_or(0)
    }

    pub fn last_heartbeat(&self) -> Option<Heartbeat> {
        self.books.lock().heartbeats.last().cloned()
    }

    /// Answers nothing any longer, and says nothing; or again.
    pub fn deaf(&self, deaf: bool) {
        self.books.lock().deaf = deaf;
    }

    /// What comes of the stream from now on is not read.
    pub fn stop_reading(&self) {
        self.books.lock().not_reading = true;
    }

    /// Reads the stream again, from its first message, as after a start.
    pub async fn read_again(&self) {
        let generation = {
            let mut state = self.books.lock();
            state.not_reading = false;
            state.generation
        };
        self.read_stream(generation).await;
    }

    /// Closes all gates of a life.
    pub async fn fence(&self, gateway: EmitterId) {
        let generation = self.books.lock().generation;
        self.books.lock().open.retain(|open| *open != gateway);
        let jetstream = jetstream::new(self.client.clone());
        for k in 0..GATES {
            jetstream.publish(self.cell.gate(generation, gateway, k), "closed".into()).await.unwrap().await.unwrap();
        }
    }

    /// A fresh stream, as after the loss of the old one.
    pub async fn next_generation(&self) {
        let generation = {
            let mut state = self.books.lock();
            state.generation += 1;
            state.open.clear();
            state.generation
        };
        let config = Config {
            name: self.cell.stream(generation),
            subjects: vec![self.cell.stream_subjects(generation)],
            discard: DiscardPolicy::New,
            ..Config::default()
        };
        jetstream::new(self.client.clone()).create_stream(config).await.unwrap();
        self.read_stream(generation).await;
    }

    async fn read_stream(&self, generation: u64) {
        let stream = jetstream::new(self.client.clone()).get_stream(self.cell.stream(generation)).await.unwrap();
        let ordered = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..Default::default() };
        let consumer = stream.create_consumer(ordered).await.unwrap();
        let (client, cell, books) = (self.client.clone(), self.cell.clone(), self.books.clone());
        self.tasks.spawn(async move {
            let mut messages = consumer.messages().await.unwrap();
            while let Some(message) = messages.next().await {
                let Ok(message) = message else { continue };
                let told = books.lock().read(&message.subject, &message.payload);
                if let Some((emitter, appended)) = told {
                    let bytes = serde_json::to_vec(&appended).unwrap();
                    client.publish(cell.appended(emitter), bytes.into()).await.unwrap();
                }
            }
        });
    }

    async fn listen(&self) {
        let mut registrations = self.client.subscribe(self.cell.register()).await.unwrap();
        let mut leases = self.client.subscribe(self.cell.lease()).await.unwrap();
        let mut confirmations = self.client.subscribe(self.cell.confirm()).await.unwrap();
        let mut commands = self.client.subscribe(self.cell.commands()).await.unwrap();
        let mut heartbeats = self.client.subscribe(self.cell.heartbeat()).await.unwrap();
        let mut beacon = tokio::time::interval(Duration::from_millis(200));
        let (client, cell, books) = (self.client.clone(), self.cell.clone(), self.books.clone());
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    Some(message) = registrations.next() => {
                        let ask: Register = serde_json::from_slice(&message.payload).unwrap();
                        let reply = register(&client, &cell, &books, &ask).await;
                        answer(&client, &books, &message, &reply).await;
                    }
                    Some(message) = leases.next() => {
                        let ask: LeaseRequest = serde_json::from_slice(&message.payload).unwrap();
                        let reply = books.lock().lease(&ask);
                        answer(&client, &books, &message, &reply).await;
                    }
                    Some(message) = confirmations.next() => {
                        let ask: Confirm = serde_json::from_slice(&message.payload).unwrap();
                        let open = books.lock().open.contains(&ask.gateway);
                        answer::<Confirmed>(&client, &books, &message, &Ok(Confirmed { open })).await;
                    }
                    Some(message) = commands.next() => {
                        if message.subject.ends_with(command_name::PRICE_BOOK) {
                            let book = books.lock().books.current_prices().unwrap().book.clone();
                            let reply = Ok(PriceBookReply { book, position: 1 });
                            answer(&client, &books, &message, &reply).await;
                        } else {
                            let ask: LookUpKey = serde_json::from_slice(&message.payload).unwrap();
                            let reply = books.lock().look_up(&ask);
                            answer(&client, &books, &message, &reply).await;
                        }
                    }
                    Some(message) = heartbeats.next() => {
                        let beat: Heartbeat = serde_json::from_slice(&message.payload).unwrap();
                        books.lock().heartbeats.push(beat);
                    }
                    _ = beacon.tick() => {
                        let (generation, position, deaf) = {
                            let state = books.lock();
                            (state.generation, state.position, state.deaf)
                        };
                        if !deaf {
                            let beacon =
                                Beacon { epoch: 1, generation, position, stream_used_percent: 1, price_version: 1 };
                            client.publish(cell.beacon(), serde_json::to_vec(&beacon).unwrap().into()).await.unwrap();
                        }
                    }
                }
            }
        });
    }

    /// The end of a test: everything that came was true.
    pub fn check(&self) {
        let state = self.books.lock();
        assert_eq!(state.rejected, Vec::<String>::new());
        for account in state.books.accounts.values() {
            assert!(account.adds_up(), "{account:?}");
        }
    }
}

async fn answer<T: Serialize>(client: &Client, books: &Mutex<State>, message: &Message, reply: &Reply<T>) {
    let deaf = books.lock().deaf;
    if let (Some(inbox), false) = (&message.reply, deaf) {
        client.publish(inbox.clone(), serde_json::to_vec(reply).unwrap().into()).await.unwrap();
    }
}

async fn register(client: &Client, cell: &Cell, books: &Mutex<State>, ask: &Register) -> Reply<Registered> {
    let generation = books.lock().generation;
    let jetstream = jetstream::new(client.clone());
    let mut gates = Vec::new();
    for k in 0..GATES {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", "0");
        let subject = cell.gate(generation, ask.gateway, k);
        let opened = match jetstream.publish_with_headers(subject, headers, "open".into()).await {
            Ok(opened) => opened.await,
            Err(error) => Err(error),
        };
        let opened = opened.map_err(|error| Refusal { code: RefusalCode::Unavailable, message: error.to_string() })?;
        gates.push(opened.sequence);
    }
    let mut state = books.lock();
    state.open.push(ask.gateway);
    let price_book = state.books.current_prices().unwrap().book.clone();
    Ok(Registered { generation, gates, lease_ms: 1_000, request_ms: 60_000, price_book })
}

impl State {
    fn say(&mut self, payload: Payload, account_id: Option<AccountId>) {
        self.own_seq += 1;
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id,
            request_id: None,
            emitter: EmitterId(Uuid::nil()),
            seq: self.own_seq,
            time: Utc::now(),
            livemode: true,
        };
        self.position += 1;
        self.books.apply(self.position, &Event { header, payload }).unwrap();
    }

    fn read(&mut self, subject: &str, bytes: &[u8]) -> Option<(EmitterId, Appended)> {
        if self.not_reading {
            return None;
        }
        match StreamSubject::parse(subject) {
            StreamSubject::Gate { emitter, .. } if bytes == b"closed" => {
                let closed = self.closed_gates.entry(emitter).or_default();
                *closed += 1;
                if *closed == GATES {
                    let missing = Vec::new();
                    self.say(Payload::GatewayFenced(Box::new(GatewayFenced { gateway: emitter, missing })), None);
                }
                None
            }
            StreamSubject::Event => {
                let event = Event::decode(bytes).unwrap();
                let emitter = event.header.emitter;
                match self.books.apply(self.position + 1, &event) {
                    Ok(Applied::New { .. }) => {
                        self.position += 1;
                        *self.events.entry(event.payload.type_name()).or_default() += 1;
                    }
                    Ok(Applied::Duplicate) => *self.events.entry("duplicate").or_default() += 1,
                    Err(rejected) => self.rejected.push(format!("{rejected}: {}", String::from_utf8_lossy(bytes))),
                }
                let known = self.books.emitters.get(&emitter)?;
                let mut accounted = known.seen.clone();
                accounted.extend(&known.never);
                let through = accounted.through();
                let beyond = accounted.ranges().iter().copied().filter(|(start, _)| *start > through).collect();
                Some((emitter, Appended { through, beyond, position: self.position }))
            }
            _ => None,
        }
    }

    fn lease(&mut self, ask: &LeaseRequest) -> Reply<LeaseReply> {
        let refusal = |code| Refusal { code, message: format!("{code:?}") };
        if !self.open.contains(&ask.gateway) {
            return Err(refusal(RefusalCode::NotRegistered));
        }
        let account = self.books.accounts.get(&ask.account_id).ok_or_else(|| refusal(RefusalCode::UnknownAccount))?;
        let before = self.books.leases.get(&(ask.gateway, ask.account_id)).map_or(0, |lease| lease.granted.get());
        let unheard = (before - ask.granted_total.get()).max(0);
        let (need, want) = ((ask.need.get() - unheard).max(0), (ask.want.get() - unheard).max(0));
        let grant = if need > account.unleased.get() { 0 } else { want.min(account.unleased.get()) };
        let granted_total = Nanocredits::new(before + grant);
        if grant > 0 {
            let granted = LeaseGranted { gateway: ask.gateway, granted_total };
            self.say(Payload::LeaseGranted(Box::new(granted)), Some(ask.account_id));
        }
        let account = &self.books.accounts[&ask.account_id];
        Ok(LeaseReply {
            granted_total,
            unleased: account.unleased,
            available: account.available().unwrap(),
            held: account.held,
            position: self.position,
        })
    }

    fn look_up(&self, ask: &LookUpKey) -> Reply<KeyRecord> {
        let hash = Uuid::from_slice(&ask.key_hash.0[..16]).unwrap();
        let found = self.keys.iter().find(|key| key.api_key_id.0 == hash).cloned();
        found.ok_or_else(|| Refusal { code: RefusalCode::UnknownKey, message: "no such key".into() })
    }
}
