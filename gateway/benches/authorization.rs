//! What one request costs the till in memory: no NATS, no HTTP, the code that runs in production. `cargo bench -p gateway`.
//!
//! | benchmark | is |
//! |---|---|
//! | `authorize` | hold out of the lease, whether to ask the ledger, a gate, the stages up to the acknowledgement. To stay under 2 µs |
//! | `settle` | the charge's stages, the size of the next advance, who is served next |
//! | `encode_*` | the bytes of an event |
//! | `keep_an_event` | into the outbox, acknowledged, appended |

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use divan::Bencher;
use divan::counter::ItemsCount;
use gateway::till::account::{Account, Asked};
use gateway::till::gates::Gates;
use gateway::till::outbox::{Era, Outbox, Sealed};
use schemas::event::{
    CreditsDeducted, EventData, Header, RequestAuthorized, RequestKind, Source, UsageRecorded, UsageSource,
    UsageStatus, encode,
};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use uuid::Uuid;

const MODEL: &str = "anthropic/claude-sonnet-4.5";
const HOLD: Nanocredits = Nanocredits::new(3_800_000_000);
const CHARGE: Nanocredits = Nanocredits::new(3_360_000_000);
const NOW: Duration = Duration::from_secs(60);
/// Holds of the account that are open already, beside the hundred of a sample: none, one a gate, and many more that wait for
/// their provider.
const OPEN_HOLDS: [usize; 3] = [0, 64, 10_000];

fn main() {
    divan::main();
}

/// An account with a lease that does not run out, and so many open holds.
fn account(open: usize) -> Account {
    let mut account = Account::default();
    account.lease.granted(Nanocredits::new(i64::MAX / 2));
    for _ in 0..open {
        authorize_now(&mut account, &mut Gates::default(), request());
    }
    account
}

fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

fn authorize_now(account: &mut Account, gates: &mut Gates, request: RequestId) {
    assert_eq!(account.ask(request, HOLD, NOW), Asked::Taken);
    assert!(!account.begin_asking(false, NOW));
    let gate = gates.take().expect("a gate is free");
    account.lease.published(request).expect("it was taken");
    account.lease.authorized(request).expect("it was published");
    assert!(gates.give_back(gate));
}

fn settle_now(account: &mut Account, request: RequestId) {
    let charged = account.lease.settling(request, CHARGE).expect("it was authorized");
    account.lease.settled(request).expect("it was settling");
    account.charged(charged, NOW);
    assert!(account.serve().is_empty());
}

#[divan::bench(args = OPEN_HOLDS, sample_size = 100, sample_count = 1_000)]
fn authorize(bencher: Bencher<'_, '_>, open: usize) {
    let (account, gates) = (RefCell::new(account(open)), RefCell::new(Gates::default()));
    let last = RefCell::new(Vec::<RequestId>::new());
    // What the sample before has authorized is settled between the samples, where no clock runs.
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            last.borrow_mut().drain(..).for_each(|request| settle_now(&mut account.borrow_mut(), request));
            request()
        })
        .bench_local_values(|request| {
            authorize_now(&mut account.borrow_mut(), &mut gates.borrow_mut(), black_box(request));
            last.borrow_mut().push(request);
        });
}

#[divan::bench(args = OPEN_HOLDS, sample_size = 100, sample_count = 1_000)]
fn settle(bencher: Bencher<'_, '_>, open: usize) {
    let (account, gates) = (RefCell::new(account(open)), RefCell::new(Gates::default()));
    bencher
        .counter(ItemsCount::new(1_usize))
        .with_inputs(|| {
            let request = request();
            authorize_now(&mut account.borrow_mut(), &mut gates.borrow_mut(), request);
            request
        })
        .bench_local_values(|request| settle_now(&mut account.borrow_mut(), black_box(request)));
}

#[divan::bench]
fn encode_authorization(bencher: Bencher<'_, '_>) {
    let data = RequestAuthorized {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        fallbacks: Vec::new(),
        upstream: "vercel".to_owned(),
        streamed: true,
        hold: HOLD,
        bounds: Bounds::default(),
        price_version: 1,
        gate: 5,
    };
    bencher.bench_local(|| event(black_box(&data)));
}

#[divan::bench]
fn encode_usage_and_deduction(bencher: Bencher<'_, '_>) {
    let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).expect("a catalogue");
    let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
    let rating = rate(&book, MODEL, &usage).expect("a known model");
    let used = UsageRecorded {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        served_model: None,
        provider: "anthropic".to_owned(),
        upstream: "vercel".to_owned(),
        provider_request_id: Some("gen_0123456789".to_owned()),
        usage,
        source: UsageSource::Provider,
        status: UsageStatus::Success,
        error: None,
        latency_ms: 900,
        ttft_ms: Some(300),
        streamed: true,
        price_version: 1,
        cost_usd: rating.cost_usd,
        provider_cost_usd: None,
        charge: rating.charge,
        breakdown: rating.breakdown,
    };
    let deducted = CreditsDeducted { amount: CHARGE };
    bencher.bench_local(|| (event(black_box(&used)), event(black_box(&deducted))));
}

#[divan::bench]
fn keep_an_event(bencher: Bencher<'_, '_>) {
    let outbox = RefCell::new(Outbox::default());
    let bytes = event(&CreditsDeducted { amount: CHARGE });
    let account_id = AccountId(Uuid::now_v7());
    let mut seq = 0;
    bencher.bench_local(|| {
        seq += 1;
        let mut outbox = outbox.borrow_mut();
        outbox.keep(Sealed { seq, account_id, event_type: CreditsDeducted::TYPE, bytes: bytes.clone() });
        outbox.acknowledged(seq, Era { generation: 1, connection: 1 }, NOW);
        outbox.appended(seq, &[], NOW);
    });
}

fn event<T: EventData>(data: &T) -> Bytes {
    let header = Header {
        id: EventId(Uuid::now_v7()),
        account_id: Some(AccountId(Uuid::nil())),
        request_id: Some(RequestId(Uuid::nil())),
        emitter: EmitterId(Uuid::nil()),
        seq: 1,
        time: Utc::now(),
        livemode: true,
    };
    Bytes::from(encode(Source::Gateway, &header, data).expect("an event is plain data"))
}
