//! The ledger's writer, told a story, and its tables beside the maps.

use std::cell::{Cell as Counter, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::rc::Rc;

use bytes::Bytes;
use chrono::Utc;
use ledger::append::{self, Command, Item, Outcome, StreamMessage, Submit, Unreadable, Writer};
use ledger::command::{DismissEntry, FirstPriceBook, GrantLease, RegisterLife, ReplayEntry};
use ledger::life::{BeginFence, CLOSED, CompleteFence, Expire};
use ledger::stream::{Announcer, NextGeneration};
use ledger::verify::Asked;
use proptest_state_machine::StateMachineTest;
use schemas::api_key::Secret;
use schemas::event::{
    CreditsDeducted, EventData, Header, LeaseReturned, RequestAuthorized, Source, UsageRecorded, encode,
};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, EventId, RequestId};
use schemas::key_limits::{Cap, Period, Restrictions};
use schemas::message::{
    AccountOpenedReply, AddCredits, AdjustCredits, CreditsReply, DismissQuarantined, IssueKey, KeyIssuedReply,
    KeyReserved, LeaseReply, LeaseRequest, OpenAccount, RefusalCode, ReplayQuarantined, ReserveKey,
};
use schemas::money::Nanocredits;
use schemas::seq_set::SeqSet;
use schemas::subject::{Cell, GATES};
use schemas::tier::Tier;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, PgPool};
use stack::servers::Postgres;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::maps::{Action, CAP, Ending, Maps, Said, What};
use super::steps::{Story, Transition};
use crate::kit::{authorized, released, used};

thread_local! {
    /// Where stories find their databases: proptest gives them nothing.
    pub(super) static DATABASES: RefCell<Option<Rc<Databases>>> = const { RefCell::new(None) };
}

/// One server, and a fresh database for each story.
pub(super) struct Databases {
    postgres: Postgres,
    made: Counter<usize>,
}

impl Databases {
    pub(super) fn start() -> Self {
        let postgres = Postgres::start().unwrap();
        let options = ledger::database::options(&postgres.url()).unwrap();
        runtime().block_on(ledger::database::migrate(&options)).unwrap();
        Self { postgres, made: Counter::new(0) }
    }

    /// How many were made.
    pub(super) fn made(&self) -> usize {
        self.made.get()
    }

    /// A copy of the migrated one.
    async fn fresh(&self) -> (String, PgConnectOptions) {
        self.made.set(self.made.get() + 1);
        let name = format!("story_{}", self.made.get());
        self.as_owner(format!("create database {name} template layers")).await;
        let options = ledger::database::options(&self.postgres.url()).unwrap().database(&name);
        (name, options)
    }

    async fn as_owner(&self, sql: String) {
        let options = ledger::database::options(&self.postgres.url()).unwrap().database("postgres");
        options.connect().await.unwrap().execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A ledger without NATS: what would come over it is handed to its writer.
pub(super) struct Ledger {
    runtime: Runtime,
    inner: Inner,
}

struct Inner {
    databases: Rc<Databases>,
    database: (String, PgConnectOptions),
    writer: Running,
    db: PgConnection,
    /// As commands read.
    pool: PgPool,
    cell: Cell,
    stream_seq: u64,
    accounts: Vec<AccountId>,
    /// Each account's key with a cap.
    keys: Vec<ApiKeyId>,
    /// Questions that were asked about keys.
    questions: u64,
    lives: Vec<EmitterId>,
    requests: HashMap<usize, RequestId>,
    /// What was said, once it was read.
    said: HashMap<usize, (String, Bytes)>,
}

/// A writer at work.
struct Running {
    submit: Submit,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn take_over(options: &PgConnectOptions, cell: &Cell) -> Self {
        // Nobody listens there: how far emitters are is said to nobody.
        let nobody = async_nats::ConnectOptions::new().retry_on_initial_connect().connect("127.0.0.1:1").await.unwrap();
        let (submit, items) = append::inbox(1_024);
        let announcer = Announcer::new(nobody, cell.clone(), &TaskTracker::new());
        let (writer, _) = Writer::take_over(options.clone(), items, announcer).await.unwrap();
        Self { submit, task: TaskTracker::new().spawn(writer.run()) }
    }
}

impl StateMachineTest for Ledger {
    type SystemUnderTest = Self;
    type Reference = Story;

    fn init_test(maps: &Maps) -> Self {
        let runtime = runtime();
        let inner = runtime.block_on(async {
            let databases = DATABASES.with_borrow(|databases| databases.clone().unwrap());
            let database = databases.fresh().await;
            let cell = Cell::new("test").unwrap();
            let writer = Running::take_over(&database.1, &cell).await;
            writer.submit.command(FirstPriceBook).await.unwrap();
            let db = database.1.connect().await.unwrap();
            let pool = ledger::database::reading_pool(&database.1);
            let mut inner = Inner {
                databases,
                database,
                writer,
                db,
                pool,
                cell,
                stream_seq: 0,
                accounts: Vec::new(),
                keys: Vec::new(),
                questions: 0,
                lives: Vec::new(),
                requests: HashMap::new(),
                said: HashMap::new(),
            };
            inner.act(maps).await;
            inner
        });
        Self { runtime, inner }
    }

    fn apply(mut ledger: Self, maps: &Maps, _: Transition) -> Self {
        ledger.runtime.block_on(async {
            ledger.inner.act(maps).await;
            ledger.inner.compare(maps).await;
        });
        ledger
    }

    fn teardown(mut ledger: Self, maps: Maps) {
        let maps = maps.finish();
        ledger.runtime.block_on(async {
            let inner = &mut ledger.inner;
            inner.act(&maps).await;
            inner.compare(&maps).await;
            let spent = maps.accounts.iter().all(|money| (money.leased, money.held) == (0, 0));
            assert!(spent, "every life is over, and something is leased or held: {:?}", maps.accounts);
            let report = ledger::verify::verify(&inner.database.1, &Asked::default(), &mut |_| {}).await.unwrap();
            assert!(report.ok, "{:#?}", report.differences);
            assert_eq!(report.open_holds, 0);
            crate::kit::assert_tree(&mut inner.db).await;
            inner.writer.task.abort();
            inner.databases.as_owner(format!("drop database {} with (force)", inner.database.0)).await;
        });
    }
}

/// What was handed to the writer and is not answered yet.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    answers: Vec<(Action, oneshot::Receiver<Outcome>)>,
}

impl Batch {
    fn command(&mut self, action: &Action, command: impl Command + 'static) {
        let (reply, answer) = oneshot::channel();
        self.items.push(Item::Command(Box::new(command), reply));
        self.answers.push((action.clone(), answer));
    }
}

impl Inner {
    /// Tells the writer what the last transition came to, as few batches as can be.
    async fn act(&mut self, maps: &Maps) {
        let mut batch = Batch::default();
        for action in &maps.last {
            match action {
                Action::OpenAccount => {
                    let (by, why) = words();
                    batch.command(action, OpenAccount { tier: Tier::Bench, reference: None, by, why });
                    // Its id is needed for what follows, and so is its key's.
                    self.finish(&mut batch).await;
                    self.issue_key().await;
                }
                Action::TopUp { account, amount, reference, .. } => {
                    let (by, why) = words();
                    let (account_id, reference) = (self.accounts[*account], reference.to_string());
                    let amount = Nanocredits::new(*amount);
                    batch.command(action, AddCredits { account_id, amount, reference, by, why });
                }
                Action::Adjust { account, amount, reference, take, .. } => {
                    let (by, why) = words();
                    let (account_id, reference) = (self.accounts[*account], reference.to_string());
                    let amount = Nanocredits::new(*amount);
                    let (loss, take_what_there_is, request_id) = (Nanocredits::ZERO, *take, None);
                    let ask =
                        AdjustCredits { account_id, amount, loss, take_what_there_is, request_id, reference, by, why };
                    batch.command(action, ask);
                }
                Action::Register => {
                    let gateway = EmitterId(Uuid::now_v7());
                    self.lives.push(gateway);
                    let (process, generation) = (Uuid::now_v7(), maps.lives[self.lives.len() - 1].generation);
                    let gates = (1..=u64::from(GATES)).collect();
                    batch.command(action, RegisterLife { gateway, process, generation, gates });
                }
                Action::Lease { life, account, known, need, want, .. } => {
                    let ask = LeaseRequest {
                        gateway: self.lives[*life],
                        account_id: self.accounts[*account],
                        granted_total: Nanocredits::new(*known),
                        need: Nanocredits::new(*need),
                        want: Nanocredits::new(*want),
                    };
                    batch.command(action, GrantLease(ask));
                }
                Action::Reserve { life, account, request, amount, back, .. } => {
                    self.questions += 1;
                    let ask = ReserveKey {
                        gateway: self.lives[*life],
                        api_key_id: self.keys[*account],
                        seq: self.questions,
                        wanted: vec![(self.request(*request), Nanocredits::new(*amount))],
                        dropped: back.iter().map(|request| self.request(*request)).collect(),
                    };
                    batch.command(action, ask);
                }
                Action::Read { said, recovered } => {
                    if !self.said.contains_key(said) {
                        let message = self.say(&maps.said[*said]);
                        self.said.insert(*said, message);
                    }
                    let (subject, payload) = self.said[said].clone();
                    batch.items.push(self.message(subject, payload, *recovered));
                }
                Action::Nonsense => {
                    let subject = self.cell.event(1, AccountId(Uuid::now_v7()), "RequestAuthorized");
                    batch.items.push(self.message(subject, Bytes::from_static(b"{"), false));
                }
                Action::Replay { said, .. } => {
                    let entry = self.kept(&mut batch, *said).await;
                    let (by, why) = words();
                    let read = ReplayEntry::read(&self.pool, ReplayQuarantined { entry, by, why }).await;
                    batch.command(action, read.unwrap());
                }
                Action::Dismiss { said, .. } => {
                    let entry = self.kept(&mut batch, *said).await;
                    let (by, why) = words();
                    let read = DismissEntry::read(&self.pool, DismissQuarantined { entry, by, why }).await;
                    batch.command(action, read.unwrap());
                }
                Action::BeginFence { life } => batch.command(action, BeginFence { gateway: self.lives[*life] }),
                Action::CloseGate { life, k } => {
                    let subject = self.cell.gate(maps.generation, self.lives[*life], *k);
                    batch.items.push(self.message(subject, Bytes::from_static(CLOSED), false));
                }
                Action::CompleteFence { life } => batch.command(action, CompleteFence { gateway: self.lives[*life] }),
                Action::Expire { request } => {
                    let requests = vec![self.request(*request)];
                    batch.command(action, Expire { requests });
                }
                Action::NextGeneration { after } => {
                    self.stream_seq = 0;
                    batch.command(action, NextGeneration { after: *after });
                }
                Action::Restart => {
                    self.finish(&mut batch).await;
                    self.writer.task.abort();
                    self.writer = Running::take_over(&self.database.1, &self.cell).await;
                }
                Action::TakeOver => {
                    self.finish(&mut batch).await;
                    let next = Running::take_over(&self.database.1, &self.cell).await;
                    let old = std::mem::replace(&mut self.writer, next);
                    let (by, why) = words();
                    let ask = OpenAccount { tier: Tier::Bench, reference: None, by, why };
                    old.submit.command(ask).await.unwrap_err();
                    assert!(old.task.await.unwrap().is_err(), "a writer whose epoch is over ends");
                }
                Action::SessionEnds => {
                    self.finish(&mut batch).await;
                    let end = "select pg_terminate_backend(pid) from pg_stat_activity
                               where datname = current_database() and pid <> pg_backend_pid()";
                    self.db.execute(end).await.unwrap();
                }
            }
        }
        self.finish(&mut batch).await;
    }

    /// For the newest account.
    async fn issue_key(&mut self) {
        let Some(account_id) = self.accounts.last().copied() else { return };
        let secret = Secret::from_random(true, &[self.accounts.len() as u8; 32]);
        let (by, why) = words();
        let cap = Some(Cap { credits: Nanocredits::new(CAP), period: Period::Total });
        let ask = IssueKey {
            account_id,
            key_hash: secret.hash(),
            key_prefix: secret.prefix().to_owned(),
            name: "capped".to_owned(),
            expires_at: None,
            restrictions: Restrictions { models: None, cap },
            by,
            why,
        };
        let issued = self.writer.submit.command(ask).await.unwrap();
        let issued: KeyIssuedReply = serde_json::from_slice(&issued).unwrap();
        self.keys.push(issued.api_key_id);
    }

    /// The entry of something that was quarantined, which must be in the database before it can be read.
    async fn kept(&mut self, batch: &mut Batch, said: usize) -> u64 {
        self.finish(batch).await;
        let first = sqlx::query_scalar("select id from ledger.quarantine where message = $1 order by id limit 1");
        let entry: i64 = first.bind(self.said[&said].1.as_ref()).fetch_one(&mut self.db).await.unwrap();
        entry as u64
    }

    /// Hands over what was collected, all at once, and waits until it is committed.
    async fn finish(&mut self, batch: &mut Batch) {
        let Batch { items, answers } = std::mem::take(batch);
        for item in items {
            assert!(self.writer.submit.item(item).await, "the writer takes it");
        }
        // Answered after all before it.
        self.writer.submit.command(Expire { requests: Vec::new() }).await.unwrap();
        for (action, answer) in answers {
            self.answered(&action, answer.await.unwrap());
        }
    }

    fn answered(&mut self, action: &Action, outcome: Outcome) {
        let refused = |outcome: &Outcome| outcome.as_ref().err().map(|refusal| refusal.code);
        match action {
            Action::OpenAccount => {
                let reply: AccountOpenedReply = serde_json::from_slice(&outcome.unwrap()).unwrap();
                self.accounts.push(reply.account_id);
            }
            Action::TopUp { answer, .. } | Action::Adjust { answer, .. } => {
                let said: Result<bool, RefusalCode> = match refused(&outcome) {
                    Some(code) => Err(code),
                    None => Ok(serde_json::from_slice::<CreditsReply>(&outcome.unwrap()).unwrap().repeated),
                };
                assert_eq!(said, *answer, "{action:?}");
            }
            Action::Lease { answer, .. } => {
                let said = match refused(&outcome) {
                    Some(code) => Err(code),
                    None => Ok(serde_json::from_slice::<LeaseReply>(&outcome.unwrap()).unwrap().granted_total.get()),
                };
                assert_eq!(said, *answer, "{action:?}");
            }
            Action::Reserve { answer, .. } => {
                let said = match refused(&outcome) {
                    Some(code) => Err(code),
                    None => {
                        let reply: KeyReserved = serde_json::from_slice(&outcome.unwrap()).unwrap();
                        Ok((!reply.granted.is_empty(), reply.charged.get(), reply.held.get()))
                    }
                };
                assert_eq!(said, *answer, "{action:?}");
            }
            Action::Replay { answer, .. } | Action::Dismiss { answer, .. } => {
                assert_eq!(refused(&outcome).map_or(Ok(()), Err), *answer, "{action:?}: {outcome:?}");
            }
            _ => assert!(outcome.is_ok(), "{action:?}: {outcome:?}"),
        }
    }

    fn request(&mut self, request: usize) -> RequestId {
        *self.requests.entry(request).or_insert_with(|| RequestId(Uuid::now_v7()))
    }

    /// The bytes of an event, and its type.
    fn say(&mut self, said: &Said) -> (String, Bytes) {
        let api_key_id = said.key.map(|account| self.keys[account]);
        match said.what {
            What::Authorized { request, hold } => {
                let data = RequestAuthorized { api_key_id, ..authorized(Nanocredits::new(hold)) };
                self.event(said, Some(request), &data)
            }
            What::Used { request, tokens } => {
                self.event(said, Some(request), &UsageRecorded { api_key_id, ..used(tokens) })
            }
            What::Deducted { request, claim } => {
                self.event(said, Some(request), &CreditsDeducted { amount: Nanocredits::new(claim) })
            }
            What::Released { request, never_came } => self.event(said, Some(request), &released(never_came)),
            What::Returned { total } => {
                self.event(said, None, &LeaseReturned { returned_total: Nanocredits::new(total) })
            }
        }
    }

    fn event<T: EventData>(&mut self, said: &Said, request: Option<usize>, data: &T) -> (String, Bytes) {
        let account_id = self.accounts[said.account];
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id: Some(account_id),
            request_id: request.map(|request| self.request(request)),
            emitter: self.lives[said.life],
            seq: said.seq,
            time: Utc::now(),
            livemode: true,
        };
        (self.cell.event(1, account_id, T::TYPE), encode(Source::Gateway, &header, data).unwrap().into())
    }

    /// As the reader hands it over.
    fn message(&mut self, subject: String, payload: Bytes, recovered: bool) -> Item {
        self.stream_seq += u64::from(!recovered);
        let is_event = !subject.contains(".gate.");
        let event = is_event.then(|| Unreadable::or_event(&payload));
        let message = StreamMessage { generation: 1, stream_seq: self.stream_seq, subject, payload, recovered };
        Item::Message(message, event)
    }

    /// Every table says what the maps say.
    async fn compare(&mut self, maps: &Maps) {
        let rows: Vec<(Uuid, i64, i64, i64, i64, i64, i64)> = self
            .rows(
                "select account_id, bought, unleased, leased, held, charged, lost from ledger.accounts where livemode",
            )
            .await;
        let stored = rows.into_iter().map(|(id, bought, unleased, leased, held, charged, lost)| {
            (id, [bought, unleased, leased, held, charged, lost])
        });
        let expected = maps.accounts.iter().zip(&self.accounts).map(|(money, id)| {
            (id.0, [money.bought, money.unleased, money.leased, money.held, money.charged, money.lost])
        });
        same("accounts", stored, expected);

        let rows: Vec<(Uuid, Uuid, i64, i64, i64, i64, bool)> =
            self.rows("select gateway, account_id, granted, returned, charged, held, closed from ledger.leases").await;
        let stored = rows.into_iter().map(|(gateway, account, granted, returned, charged, held, closed)| {
            ((gateway, account), (granted, returned, charged, held, closed))
        });
        let expected = maps.leases.iter().map(|((life, account), lease)| {
            let key = (self.lives[*life].0, self.accounts[*account].0);
            (key, (lease.granted, lease.returned, lease.charged, lease.held, lease.closed))
        });
        same("leases", stored, expected);
        self.compare_keys(maps).await;
        self.compare_requests(maps).await;
        self.compare_lives(maps).await;

        let (position, generation): (i64, i64) = self.row("select position, generation from ledger.head").await;
        // The prices were first.
        assert_eq!((position as u64, generation as u64), (maps.events + 1, maps.generation), "ledger.head");
    }

    async fn compare_keys(&mut self, maps: &Maps) {
        let spent = "select api_key_id, held, charged from ledger.key_spending where held <> 0 or charged <> 0";
        let rows: Vec<(Uuid, i64, i64)> = self.rows(spent).await;
        let stored = rows.into_iter().map(|(key, held, charged)| (key, (held, charged)));
        let expected = maps.keys.iter().zip(&self.keys).map(|(key, id)| (id.0, (key.held, key.charged)));
        same("key_spending", stored, expected.filter(|(_, spending)| *spending != (0, 0)));

        let promised = "select request_id, api_key_id, gateway, amount from ledger.key_reservations";
        let rows: Vec<(Uuid, Uuid, Uuid, i64)> = self.rows(promised).await;
        let stored = rows.into_iter().map(|(request, key, gateway, amount)| (request, (key, gateway, amount)));
        let expected = maps.promises.iter().map(|(request, promise)| {
            let (key, life) = (self.keys[promise.account].0, self.lives[promise.life].0);
            (self.requests[request].0, (key, life, promise.amount))
        });
        same("key_reservations", stored, expected);
    }

    async fn compare_requests(&mut self, maps: &Maps) {
        type Row = (
            Uuid,
            Uuid,
            Option<Uuid>,
            Option<i64>,
            Option<bool>,
            Option<i64>,
            Option<String>,
            Option<i64>,
            Option<i64>,
        );
        let rows: Vec<Row> = self
            .rows(
                "select request_id, account_id, gateway, hold, counts, usage, ending, claimed, charged
                 from ledger.holds",
            )
            .await;
        let stored = rows.into_iter().map(|(id, account, gateway, hold, counts, usage, ending, claimed, charged)| {
            (id, (account, gateway.zip(hold).zip(counts), usage, ending.zip(Some(claimed)), charged))
        });
        let expected = maps.requests.iter().map(|(request, known)| {
            let ending = known.ending.map(|ending| match ending {
                Ending::Deducted(claim) => ("deducted".to_owned(), Some(claim)),
                Ending::Released => ("released".to_owned(), None),
                Ending::Expired => ("expired".to_owned(), None),
            });
            let authorized = known.authorized.map(|(life, hold, counts)| ((self.lives[life].0, hold), counts));
            let id = self.requests[request].0;
            (id, (self.accounts[known.account].0, authorized, known.usage, ending, known.charged))
        });
        same("holds", stored, expected);
    }

    async fn compare_lives(&mut self, maps: &Maps) {
        let rows: Vec<(Uuid, String, String, bool, String)> = self
            .rows(
                "select gateway, coalesce(seen, '{}')::text, coalesce(never, '{}')::text, coalesce(fenced, false), state
                 from ledger.lives left join ledger.emitters on emitter = gateway",
            )
            .await;
        let numbers = |text: &str| text.parse::<SeqSet>().unwrap();
        let stored = rows
            .into_iter()
            .map(|(id, seen, never, fenced, state)| (id, (numbers(&seen), numbers(&never), fenced, state)));
        let expected = maps.lives.iter().zip(&self.lives).map(|(life, id)| {
            let state = match (life.fenced, life.fencing) {
                (true, _) => "fenced",
                (false, true) => "fencing",
                (false, false) => "open",
            };
            let seen = SeqSet::from_ranges(&life.seen.keys().map(|seq| (*seq, *seq)).collect::<Vec<_>>());
            let never = SeqSet::from_ranges(&life.never.iter().map(|seq| (*seq, *seq)).collect::<Vec<_>>());
            (id.0, (seen, never, life.fenced, state.to_owned()))
        });
        same("lives", stored, expected);

        let rows: Vec<(Uuid, i64)> = self
            .rows(
                "select distinct emitter, seq from ledger.quarantine where emitter is not null and state <> 'replayed'",
            )
            .await;
        let stored: BTreeSet<_> = rows.into_iter().map(|(emitter, seq)| (emitter, seq as u64)).collect();
        let lives = maps.lives.iter().zip(&self.lives);
        let expected: BTreeSet<_> =
            lives.flat_map(|(life, id)| life.quarantined.iter().map(|seq| (id.0, *seq))).collect();
        assert_eq!(stored, expected, "ledger.quarantine");
    }

    async fn rows<R>(&mut self, sql: &'static str) -> Vec<R>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        sqlx::query_as(sql).fetch_all(&mut self.db).await.unwrap()
    }

    async fn row<R>(&mut self, sql: &'static str) -> R
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        sqlx::query_as(sql).fetch_one(&mut self.db).await.unwrap()
    }
}

fn words() -> (String, String) {
    ("test".to_owned(), "test".to_owned())
}

fn same<K: Ord + Debug, V: PartialEq + Debug>(
    table: &str,
    stored: impl Iterator<Item = (K, V)>,
    expected: impl Iterator<Item = (K, V)>,
) {
    let (stored, expected): (BTreeMap<K, V>, BTreeMap<K, V>) = (stored.collect(), expected.collect());
    for (key, value) in &expected {
        assert_eq!(stored.get(key), Some(value), "ledger.{table}, {key:?}: left is stored, right is by the maps");
    }
    assert_eq!(stored.len(), expected.len(), "ledger.{table} has rows that the maps do not have");
}
