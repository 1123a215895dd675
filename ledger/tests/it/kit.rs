//! A ledger of one's own, with its servers, and puppets of gateways. When it is dropped nothing is left; `finish`
//! asserts that the books verify.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::PublishErrorKind;
use chrono::Utc;
use ledger::checkpoint::{CheckpointConfig, KeyText};
use ledger::config::{DatabaseConfig, NatsConfig, ServeConfig};
use ledger::export::Folder;
use ledger::verify::Asked;
use schemas::event::{
    AuthorizationReleased, CreditsDeducted, EventData, Header, LeaseReturned, ReleaseReason, RequestAuthorized,
    RequestKind, Source, UsageRecorded, UsageSource, UsageStatus, encode,
};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::merkle::note::SignerKey;
use schemas::merkle::{Frontier, Hash, leaf_hash};
use schemas::message::{
    AccountOpenedReply, AddCredits, CreditsReply, Heartbeat, LeaseReply, LeaseRequest, OpenAccount, Register,
    Registered, Reply, command_name,
};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use schemas::subject::Cell;
use schemas::tier::Tier;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{Connection, PgConnection};
use stack::servers::{NatsServer, Postgres};
use tokio::sync::oneshot;
use uuid::Uuid;

/// The model that puppets ask.
pub(crate) const MODEL: &str = "anthropic/claude-sonnet-4.5";
/// Long enough for a loaded machine; what a test waits for normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a test's ledger is set.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) lease: Duration,
    pub(crate) request: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lease: Duration::from_secs(30), request: Duration::from_secs(60) }
    }
}

pub(crate) struct Kit {
    pub(crate) nats: NatsServer,
    pub(crate) postgres: Postgres,
    pub(crate) client: async_nats::Client,
    pub(crate) cell: Cell,
    settings: Settings,
    ledgers: Vec<Running>,
}

/// A ledger on a thread and a runtime of its own; dropped, it ends at once, as by a kill: nothing is said or finished.
pub(crate) struct Running {
    _kill: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Running {
    pub(crate) fn kill(self) {
        drop(self._kill);
        self.thread.join().unwrap();
    }
}

impl Kit {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let mut kit = Self::servers(settings).await;
        kit.start_ledger();
        kit.until_serving().await;
        kit
    }

    /// A ledger on what a folder brings into an empty database.
    pub(crate) async fn restored(settings: Settings, folder: &Folder) -> Self {
        let mut kit = Self::servers(settings).await;
        let options = ledger::database::options(&kit.postgres.url()).unwrap();
        ledger::database::migrate(&options).await.unwrap();
        ledger::export::import(&mut kit.db().await, folder, &[signer().verifier().clone()], |_, _| {}).await.unwrap();
        kit.start_ledger();
        kit.until_serving().await;
        kit
    }

    async fn servers(settings: Settings) -> Self {
        let (nats, postgres) = tokio::task::spawn_blocking(|| (NatsServer::start(), Postgres::start())).await.unwrap();
        let (nats, postgres) = (nats.unwrap(), postgres.unwrap());
        let client = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(50))
            .request_timeout(Some(Duration::from_secs(3)))
            .connect(nats.url())
            .await
            .unwrap();
        let cell = Cell::new("test").unwrap();
        Self { nats, postgres, client, cell, settings, ledgers: Vec::new() }
    }

    /// One more ledger; with one that is active it stands by.
    pub(crate) fn start_ledger(&mut self) {
        self.start_ledger_with(self.config());
    }

    /// One more ledger, set otherwise.
    pub(crate) fn start_ledger_with(&mut self, config: ServeConfig) {
        let (kill, killed) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    ended = ledger::serve::serve(config) => eprintln!("ledger: {ended:?}"),
                    _ = killed => {}
                }
            });
        });
        self.ledgers.push(Running { _kill: kill, thread });
    }

    /// How a ledger of this test is set.
    pub(crate) fn config(&self) -> ServeConfig {
        ServeConfig {
            database: DatabaseConfig { database_url: self.postgres.url() },
            nats: NatsConfig { nats_url: self.nats.url(), cell: self.cell.clone() },
            listen: "127.0.0.1:0".to_owned(),
            lease: self.settings.lease,
            request: self.settings.request,
            replicas: 1,
            stream_max_bytes: 64 << 20,
            checkpoint: CheckpointConfig {
                key: Some(KeyText::from(signer().reveal())),
                key_file: None,
                origin: None,
                every: Duration::from_secs(60),
            },
        }
    }

    /// Why a ledger that is started now ends; it must not serve.
    pub(crate) async fn refused_start(&self) -> String {
        let ended = tokio::time::timeout(PATIENCE, ledger::serve::serve(self.config())).await;
        format!("{:#}", ended.expect("a ledger that must not start serves").unwrap_err())
    }

    /// The ledger that was started first.
    pub(crate) fn first_ledger(&mut self) -> Running {
        self.ledgers.remove(0)
    }

    pub(crate) async fn kill_ledgers(&mut self) {
        self.ledgers.drain(..).for_each(Running::kill);
    }

    pub(crate) async fn until_serving(&self) {
        self.until("the ledger serves", || async {
            self.ask::<(), serde_json::Value>(self.cell.command(command_name::PRICE_BOOK), &()).await.ok()
        })
        .await;
    }

    /// Asks again and again, since what is waited for happens elsewhere.
    pub(crate) async fn until<T, F: Future<Output = Option<T>>>(&self, what: &str, mut look: impl FnMut() -> F) -> T {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(tokio::time::Instant::now() < until, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn ask<Q: Serialize, A: DeserializeOwned>(&self, subject: String, ask: &Q) -> Result<A, String> {
        let payload = serde_json::to_vec(ask).unwrap();
        let message = self.client.request(subject, payload.into()).await.map_err(|error| error.to_string())?;
        serde_json::from_slice::<Reply<A>>(&message.payload).unwrap().map_err(|refusal| format!("{:?}", refusal.code))
    }

    pub(crate) async fn command<Q: Serialize, A: DeserializeOwned>(&self, name: &str, ask: &Q) -> Result<A, String> {
        self.ask(self.cell.command(name), ask).await
    }

    pub(crate) async fn open_account(&self, credits: i64) -> AccountId {
        let ask = OpenAccount { tier: Tier::Team, reference: None, by: "test".into(), why: "test".into() };
        let opened: AccountOpenedReply = self.command(command_name::OPEN_ACCOUNT, &ask).await.unwrap();
        self.add(opened.account_id, credits, "first").await.unwrap();
        opened.account_id
    }

    pub(crate) async fn add(
        &self,
        account_id: AccountId,
        credits: i64,
        reference: &str,
    ) -> Result<CreditsReply, String> {
        let amount = Nanocredits::from_credits(credits).unwrap();
        let (by, why) = ("test".to_owned(), "test".to_owned());
        let ask = AddCredits { account_id, amount, reference: reference.to_owned(), by, why };
        self.command(command_name::ADD_CREDITS, &ask).await
    }

    pub(crate) async fn db(&self) -> PgConnection {
        PgConnection::connect(&self.postgres.url()).await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&mut self.db().await).await.unwrap()
    }

    /// Until it is the number; while there is no row yet, it is none.
    pub(crate) async fn until_number(&self, sql: &'static str, expected: i64) {
        let is_so = async || {
            let found: Option<i64> =
                sqlx::query_scalar(sql).fetch_optional(&mut self.db().await).await.expect("the query is right");
            (found == Some(expected)).then_some(())
        };
        self.until(&format!("{sql} = {expected}"), is_so).await;
    }

    /// Unleased, leased, held, charged, lost; whole credits.
    /// Purges as the ledger does.
    pub(crate) async fn purge(&self, over: &[EmitterId]) -> anyhow::Result<()> {
        let row =
            sqlx::query_as::<_, (i64, i64, Vec<u8>)>("select generation, stream_seq, stream_anchor from ledger.head");
        let (generation, stream_seq, anchor) = row.fetch_one(&mut self.db().await).await?;
        let (generation, stream_seq) = (generation as u64, stream_seq as u64);
        let anchor = Some(ledger::append::Anchor(anchor.as_slice().try_into()?));
        let head = ledger::append::Head { position: 0, epoch: 0, generation, stream_seq, anchor };
        let jetstream = async_nats::jetstream::new(self.client.clone());
        let stream = jetstream.get_stream(self.cell.stream(generation)).await?;
        let generations = ledger::stream::Generations::new(jetstream, self.cell.clone(), 1, -1);
        ledger::life::purge(&self.client, &generations, &stream, &self.cell, &head, over).await
    }

    pub(crate) async fn money(&self, account: AccountId) -> [i64; 5] {
        let row: (i64, i64, i64, i64, i64) =
            sqlx::query_as("select unleased, leased, held, charged, lost from ledger.accounts where account_id = $1")
                .bind(account.0)
                .fetch_one(&mut self.db().await)
                .await
                .unwrap();
        [row.0, row.1, row.2, row.3, row.4].map(|nanocredits| nanocredits / 1_000_000_000)
    }

    pub(crate) async fn until_money(&self, account: AccountId, expected: [i64; 5]) {
        let mut last = [0; 5];
        let until = tokio::time::Instant::now() + PATIENCE;
        while last != expected {
            last = self.money(account).await;
            assert!(tokio::time::Instant::now() < until, "money is {last:?}, not {expected:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn verify(&self) -> ledger::verify::Report {
        let options = ledger::database::options(&self.postgres.url()).unwrap();
        ledger::verify::verify(&options, &Asked::default(), &mut |_| {}).await.unwrap()
    }

    /// The end of a test: the books must verify, and the tree must be that of the events.
    pub(crate) async fn finish(self) {
        assert_tree(&mut self.db().await).await;
        let report = self.verify().await;
        assert!(report.ok, "{:#?}", report.differences);
    }
}

/// The tree in the tables is that of the events: its edge, and every tile and no other.
pub(crate) async fn assert_tree(db: &mut PgConnection) {
    let events: Vec<Vec<u8>> =
        sqlx::query_scalar("select event from ledger.events order by position").fetch_all(&mut *db).await.unwrap();
    let mut tree = Frontier::default();
    let mut expected = BTreeMap::new();
    for event in &events {
        for (tile, hashes) in tree.extend([leaf_hash(event)]).0 {
            expected.insert((i16::from(tile.level), tile.index as i64), Hash::concat(&hashes));
        }
    }
    let (size, peaks): (i64, Vec<u8>) =
        sqlx::query_as("select tree_size, tree_peaks from ledger.head").fetch_one(&mut *db).await.unwrap();
    assert_eq!((size, peaks), (events.len() as i64, Hash::concat(tree.edge().peaks())), "the edge");
    let stored: Vec<(i16, i64, Vec<u8>)> =
        sqlx::query_as("select level, index, hashes from ledger.tiles").fetch_all(db).await.unwrap();
    let stored: BTreeMap<_, _> = stored.into_iter().map(|(level, index, hashes)| ((level, index), hashes)).collect();
    assert!(stored == expected, "the tiles: {:?}, not {:?}", stored.keys(), expected.keys());
}

/// By which all ledgers of the tests sign.
pub(crate) fn signer() -> SignerKey {
    SignerKey::from_seed("layers/test", [1; 32]).unwrap()
}

/// A gateway that does what it is told.
pub(crate) struct Puppet {
    pub(crate) emitter: EmitterId,
    pub(crate) process: Uuid,
    pub(crate) generation: u64,
    pub(crate) gates: Vec<u64>,
    pub(crate) seq: u64,
    cell: Cell,
    jetstream: Context,
    client: async_nats::Client,
}

/// A message as it was published, to be sent again.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) subject: String,
    pub(crate) bytes: Vec<u8>,
}

impl Puppet {
    /// Registers a life.
    pub(crate) async fn register(kit: &Kit) -> Self {
        let emitter = EmitterId(Uuid::now_v7());
        let process = Uuid::now_v7();
        let registered: Registered = kit
            .until("registration", || async {
                kit.ask(kit.cell.register(), &Register { gateway: emitter, process }).await.ok()
            })
            .await;
        Self {
            emitter,
            process,
            generation: registered.generation,
            gates: registered.gates,
            seq: 0,
            cell: kit.cell.clone(),
            jetstream: async_nats::jetstream::new(kit.client.clone()),
            client: kit.client.clone(),
        }
    }

    pub(crate) async fn beat(&self, leaving: bool) {
        let beat = Heartbeat { process: self.process, lives: vec![self.emitter], leaving };
        self.client.publish(self.cell.heartbeat(), serde_json::to_vec(&beat).unwrap().into()).await.unwrap();
    }

    pub(crate) async fn lease(
        &self,
        kit: &Kit,
        account: AccountId,
        known: i64,
        need: i64,
    ) -> Result<LeaseReply, String> {
        let credits = |credits| Nanocredits::from_credits(credits).unwrap();
        let ask = LeaseRequest {
            gateway: self.emitter,
            account_id: account,
            granted_total: credits(known),
            need: credits(need),
            want: credits(need),
        };
        kit.ask(kit.cell.lease(), &ask).await
    }

    pub(crate) fn event<T: EventData>(&mut self, account: AccountId, request: Option<RequestId>, data: &T) -> Sent {
        self.seq += 1;
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id: Some(account),
            request_id: request,
            emitter: self.emitter,
            seq: self.seq,
            time: Utc::now(),
            livemode: true,
        };
        let bytes = encode(Source::Gateway, &header, data).unwrap();
        Sent { subject: self.cell.event(self.generation, account, T::TYPE), bytes }
    }

    pub(crate) fn authorization(&mut self, account: AccountId, request: RequestId, hold: i64) -> Sent {
        self.event(account, Some(request), &authorized(Nanocredits::from_credits(hold).unwrap()))
    }

    /// A usage that is worth so many credits: 24 credits a 10,000 tokens written.
    pub(crate) fn usage(&mut self, account: AccountId, request: RequestId, output_tokens: u64) -> Sent {
        self.event(account, Some(request), &used(output_tokens))
    }

    pub(crate) fn deduction(&mut self, account: AccountId, request: RequestId, credits: i64) -> Sent {
        let amount = Nanocredits::from_credits(credits).unwrap();
        self.event(account, Some(request), &CreditsDeducted { amount })
    }

    pub(crate) fn release(&mut self, account: AccountId, request: RequestId, never_came: Option<u64>) -> Sent {
        self.event(account, Some(request), &released(never_came))
    }

    pub(crate) fn lease_return(&mut self, account: AccountId, credits: i64) -> Sent {
        let returned_total = Nanocredits::from_credits(credits).unwrap();
        self.event(account, None, &LeaseReturned { returned_total })
    }

    /// Publishes without a gate and waits for the acknowledgement.
    pub(crate) async fn publish(&self, sent: &Sent) {
        while self.jetstream.publish(sent.subject.clone(), sent.bytes.clone().into()).await.unwrap().await.is_err() {
            // Undecided: NATS may just have been away. The same bytes again are the same event.
        }
    }

    /// Publishes through a gate. `Err` has JetStream's error code.
    pub(crate) async fn publish_through(&self, gate: u16, sent: &Sent) -> Result<u64, u64> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", self.gates[usize::from(gate)].to_string());
        headers.insert(
            "Nats-Expected-Last-Subject-Sequence-Subject",
            self.cell.gate(self.generation, self.emitter, gate).as_str(),
        );
        loop {
            let bytes = sent.bytes.clone().into();
            let published =
                self.jetstream.publish_with_headers(sent.subject.clone(), headers.clone(), bytes).await.unwrap();
            match published.await {
                Ok(acknowledgement) => return Ok(acknowledgement.sequence),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => return Err(10_071),
                // Undecided: the same again, through the same gate.
                Err(error) if error.kind() == PublishErrorKind::TimedOut => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// A whole request: authorized through a gate, used, deducted.
    pub(crate) async fn whole_request(
        &mut self,
        account: AccountId,
        hold: i64,
        output_tokens: u64,
        claim: i64,
    ) -> RequestId {
        let request = RequestId(Uuid::now_v7());
        let authorization = self.authorization(account, request, hold);
        self.publish_through(0, &authorization).await.unwrap();
        let usage = self.usage(account, request, output_tokens);
        self.publish(&usage).await;
        let deduction = self.deduction(account, request, claim);
        self.publish(&deduction).await;
        request
    }
}

/// An authorization's data.
pub(crate) fn authorized(hold: Nanocredits) -> RequestAuthorized {
    RequestAuthorized {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        fallbacks: Vec::new(),
        upstream: "simulator".to_owned(),
        streamed: false,
        hold,
        bounds: Bounds::default(),
        price_version: 1,
        gate: 0,
    }
}

/// A usage's data, worth 24 credits a 10,000 tokens written.
pub(crate) fn used(output_tokens: u64) -> UsageRecorded {
    static BOOK: LazyLock<PriceBook> =
        LazyLock::new(|| PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap());
    let usage = Usage { output_tokens, ..Usage::default() };
    let rating = rate(&BOOK, MODEL, &usage).unwrap();
    UsageRecorded {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        served_model: None,
        provider: "anthropic".to_owned(),
        upstream: "simulator".to_owned(),
        provider_request_id: None,
        usage,
        source: UsageSource::Provider,
        status: UsageStatus::Success,
        error: None,
        latency_ms: 1,
        ttft_ms: None,
        streamed: false,
        price_version: 1,
        cost_usd: rating.cost_usd,
        provider_cost_usd: None,
        charge: rating.charge,
        breakdown: rating.breakdown,
    }
}

/// A release's data.
pub(crate) fn released(never_came: Option<u64>) -> AuthorizationReleased {
    AuthorizationReleased {
        reason: ReleaseReason::Undecided,
        never_came,
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        streamed: false,
        error_message: "test".to_owned(),
        latency_ms: 1,
    }
}
