//! What the tree costs the append: `cargo bench -p ledger --bench append`.
//!
//! The real writer on a private PostgreSQL that flushes each commit, without NATS: whole requests of three events come in
//! batches as full as they can be. It runs with the tree and without it by turns, each time on a fresh database; what is
//! printed are events a second, the medians, and their ratio. `EVENTS` a run and `ROUNDS` can be set.

#[allow(dead_code)]
#[path = "../tests/it/kit.rs"]
mod kit;

use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use ledger::append::{Item, StreamMessage, Submit, Unreadable, View, Writer, inbox};
use ledger::command::{FirstPriceBook, GrantLease, RegisterLife};
use ledger::stream::Announcer;
use schemas::event::{CreditsDeducted, EventData, Header, Source, encode};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::merkle::{Frontier, leaf_hash};
use schemas::message::{AccountOpenedReply, AddCredits, LeaseRequest, OpenAccount};
use schemas::money::Nanocredits;
use schemas::subject::{Cell, GATES};
use schemas::tier::Tier;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use stack::servers::{Postgres, PostgresOptions};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const ACCOUNTS: usize = 50;
const CREDITS: i64 = 1_000_000;

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn main() {
    let (events, rounds) = (number("EVENTS", 30_000), number("ROUNDS", 7));
    let postgres = Postgres::start_with(PostgresOptions { fsync: true, ..PostgresOptions::default() }).unwrap();
    let template = ledger::database::options(&postgres.url()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        ledger::database::migrate(&template).await.unwrap();
        // The first one warms the server up.
        run(&template, 0, false, events / 3).await;
        println!("{:>5}  {:>16}  {:>13}  events a second", "round", "without the tree", "with the tree");
        for round in 1..=rounds {
            // By turns first and second, so that neither always finds a busier machine.
            let mut rates = [0.0; 2];
            for tree in if round % 2 == 0 { [true, false] } else { [false, true] } {
                let name = 2 * round + usize::from(tree);
                rates[usize::from(tree)] = events as f64 / run(&template, name, tree, events).await.as_secs_f64();
            }
            println!("{round:>5}  {:>16.0}  {:>13.0}", rates[0], rates[1]);
            without.push(rates[0]);
            with.push(rates[1]);
        }
    });
    let (without, with) = (median(&mut without), median(&mut with));
    println!("{:>6} {without:>16.0}  {with:>13.0}", "median");
    println!(
        "the tree costs {:.1} % of the ledger's throughput (at most 15 % is the aim)",
        100.0 * (1.0 - with / without)
    );
    hashing();
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// The hashes alone, on one core.
fn hashing() {
    let (life, account) = (EmitterId(Uuid::now_v7()), AccountId(Uuid::now_v7()));
    let events: Vec<Bytes> = (0..100).flat_map(|n| request(life, account, 3 * n)).map(|(_, bytes)| bytes).collect();
    let size = events.iter().map(Bytes::len).sum::<usize>() / events.len();
    let (mut tree, times) = (Frontier::default(), 1_000);
    let begun = Instant::now();
    for _ in 0..times {
        tree.extend(events.iter().map(|event| leaf_hash(event)));
    }
    let each = begun.elapsed() / (times * events.len() as u32);
    println!("of that, hashing: {each:?} an event of {size} bytes");
}

/// A fresh database, a writer, and so many events; how long they take to be committed.
async fn run(template: &PgConnectOptions, name: usize, tree: bool, events: usize) -> Duration {
    let owner = template.clone().database("postgres");
    let database = format!("run_{name}");
    let sql = format!("create database {database} template layers");
    owner.connect().await.unwrap().execute(AssertSqlSafe(sql)).await.unwrap();
    let options = template.clone().database(&database);
    // Nobody listens there: how far emitters are is said to nobody.
    let nobody = async_nats::ConnectOptions::new().retry_on_initial_connect().connect("127.0.0.1:1").await.unwrap();
    let (submit, items) = inbox(4_096);
    let announcer = Announcer::new(nobody, Cell::new("bench").unwrap(), &TaskTracker::new());
    let (writer, view) = Writer::take_over(options, items, announcer).await.unwrap();
    let writer = if tree { writer } else { writer.without_tree() };
    let writing = TaskTracker::new().spawn(writer.run());
    let messages = story(&submit, events).await;
    let took = append(&submit, view, messages).await;
    drop(submit);
    writing.await.unwrap().unwrap();
    let sql = format!("drop database {database} with (force)");
    owner.connect().await.unwrap().execute(AssertSqlSafe(sql)).await.unwrap();
    took
}

async fn append(submit: &Submit, mut view: watch::Receiver<View>, items: Vec<Item>) -> Duration {
    let until = view.borrow().head.position + items.len() as u64;
    let begun = Instant::now();
    for item in items {
        assert!(submit.item(item).await, "the writer writes");
    }
    view.wait_for(|view| view.head.position >= until).await.unwrap();
    begun.elapsed()
}

/// Accounts that can pay, one gateway's life with leases of all of them, and its requests.
async fn story(submit: &Submit, events: usize) -> Vec<Item> {
    submit.command(FirstPriceBook).await.unwrap();
    let life = EmitterId(Uuid::now_v7());
    let gates = (1..=u64::from(GATES)).collect();
    submit.command(RegisterLife { gateway: life, process: Uuid::now_v7(), generation: 0, gates }).await.unwrap();
    let (by, why) = ("bench".to_owned(), "bench".to_owned());
    let mut accounts = Vec::new();
    for _ in 0..ACCOUNTS {
        let open = OpenAccount { tier: Tier::Bench, reference: None, by: by.clone(), why: why.clone() };
        let opened = submit.command(open).await.unwrap();
        let account_id = serde_json::from_slice::<AccountOpenedReply>(&opened).unwrap().account_id;
        let amount = Nanocredits::from_credits(CREDITS).unwrap();
        let reference = "bench".to_owned();
        submit.command(AddCredits { account_id, amount, reference, by: by.clone(), why: why.clone() }).await.unwrap();
        let granted_total = Nanocredits::ZERO;
        let lease = LeaseRequest { gateway: life, account_id, granted_total, need: amount, want: amount };
        submit.command(GrantLease(lease)).await.unwrap();
        accounts.push(account_id);
    }
    let all = (0..events.div_ceil(3)).flat_map(|n| {
        let account = accounts[n % ACCOUNTS];
        request(life, account, 3 * n as u64)
    });
    let messages = all.zip(1..).map(|((subject, payload), stream_seq)| {
        let event = Unreadable::or_event(&payload);
        Item::Message(StreamMessage { generation: 0, stream_seq, subject, payload, recovered: false }, Some(event))
    });
    messages.take(events).collect()
}

/// The three events of a request: subjects and bytes.
fn request(life: EmitterId, account: AccountId, seq: u64) -> [(String, Bytes); 3] {
    let request = RequestId(Uuid::now_v7());
    let hold = Nanocredits::from_credits(10).unwrap();
    // 1,000 tokens written: 2.4 credits.
    let amount = "2.4".parse().unwrap();
    [
        event(life, account, request, seq + 1, &kit::authorized(hold)),
        event(life, account, request, seq + 2, &kit::used(1_000)),
        event(life, account, request, seq + 3, &CreditsDeducted { amount }),
    ]
}

fn event<T: EventData>(life: EmitterId, account: AccountId, request: RequestId, seq: u64, data: &T) -> (String, Bytes) {
    let header = Header {
        id: EventId(Uuid::now_v7()),
        account_id: Some(account),
        request_id: Some(request),
        emitter: life,
        seq,
        time: Utc::now(),
        livemode: true,
    };
    let subject = Cell::new("bench").unwrap().event(0, account, T::TYPE);
    (subject, encode(Source::Gateway, &header, data).unwrap().into())
}
