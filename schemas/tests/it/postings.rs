//! Double entry and the books are two ways to say the same.

use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use proptest::prelude::*;
use schemas::books::{Applied, Books, Currency, LedgerAccount, postings};
use schemas::event::*;
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use schemas::tier::Tier;
use uuid::Uuid;

const MODEL: &str = "anthropic/claude-sonnet-4.5";
const ACCOUNTS: u128 = 3;
const LIVES: u128 = 2;
const REQUESTS: u128 = 10;

/// Something that may be said next. The numbers pick one of the few accounts, lives and requests.
#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u128, i64),
    Adjust(u128, i64, i64),
    Grant(u128, u128, i64),
    Authorize(u128, u128, i64),
    Use(u128, u128, u64),
    Deduct(u128, u128, i64),
    Release(u128, u128),
    Expire(u128),
    Fence(u128),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (account, life, request) = (0..ACCOUNTS, 0..LIVES, 0..REQUESTS);
    let step = prop_oneof![
        2 => (account.clone(), -5..100_i64).prop_map(|(a, n)| Step::Add(a, n)),
        1 => (account.clone(), -40..40_i64, 0..10_i64).prop_map(|(a, n, l)| Step::Adjust(a, n, l)),
        3 => (life.clone(), account, 0..60_i64).prop_map(|(l, a, n)| Step::Grant(l, a, n)),
        6 => (life.clone(), request.clone(), 0..9_i64).prop_map(|(l, r, n)| Step::Authorize(l, r, n)),
        6 => (life.clone(), request.clone(), 0..5_000_u64).prop_map(|(l, r, n)| Step::Use(l, r, n)),
        6 => (life.clone(), request.clone(), 0..9_i64).prop_map(|(l, r, n)| Step::Deduct(l, r, n)),
        2 => (life.clone(), request.clone()).prop_map(|(l, r)| Step::Release(l, r)),
        2 => request.prop_map(Step::Expire),
        1 => life.prop_map(Step::Fence),
    ];
    prop::collection::vec(step, 0..150)
}

fn credits(credits: i64) -> Nanocredits {
    Nanocredits::from_credits(credits).unwrap()
}

fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(1_000 + number))
}

fn life(number: u128) -> EmitterId {
    EmitterId(Uuid::from_u128(2_000 + number))
}

/// Who says it, about whose account and which request, and what.
fn said(step: Step, book: &PriceBook) -> (EmitterId, Option<u128>, Option<u128>, Payload) {
    let ledger = life(LIVES);
    let of = |request: u128| (Some(request % ACCOUNTS), Some(request));
    let (by, why, reference) = ("test".to_owned(), "test".to_owned(), Uuid::now_v7().to_string());
    match step {
        Step::Add(account, amount) => {
            let data = CreditsAdded { amount: credits(amount), reference, by, why };
            (ledger, Some(account), None, Payload::CreditsAdded(data.into()))
        }
        Step::Adjust(account, amount, loss) => {
            let data = CreditsAdjusted { amount: credits(amount), loss: credits(loss), reference, by, why };
            (ledger, Some(account), None, Payload::CreditsAdjusted(data.into()))
        }
        Step::Grant(gateway, account, total) => {
            let data = LeaseGranted { gateway: life(gateway), granted_total: credits(total) };
            (ledger, Some(account), None, Payload::LeaseGranted(data.into()))
        }
        Step::Authorize(gateway, request, hold) => {
            let data = RequestAuthorized {
                api_key_id: None,
                kind: RequestKind::Chat,
                model: MODEL.into(),
                fallbacks: Vec::new(),
                upstream: "live".into(),
                streamed: false,
                hold: credits(hold),
                bounds: Bounds::default(),
                price_version: 1,
                gate: 0,
            };
            let (account, request) = of(request);
            (life(gateway), account, request, Payload::RequestAuthorized(data.into()))
        }
        Step::Use(gateway, request, tokens) => {
            let usage = Usage { input_tokens: tokens, output_tokens: tokens, ..Usage::default() };
            let rating = rate(book, MODEL, &usage).unwrap();
            let data = UsageRecorded {
                api_key_id: None,
                kind: RequestKind::Chat,
                model: MODEL.into(),
                served_model: None,
                provider: "anthropic".into(),
                upstream: "live".into(),
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
            };
            let (account, request) = of(request);
            (life(gateway), account, request, Payload::UsageRecorded(data.into()))
        }
        Step::Deduct(gateway, request, claim) => {
            let (account, request) = of(request);
            let data = CreditsDeducted { amount: credits(claim) };
            (life(gateway), account, request, Payload::CreditsDeducted(data.into()))
        }
        Step::Release(gateway, request) => {
            let data = AuthorizationReleased {
                reason: ReleaseReason::ProviderFailed,
                never_came: None,
                api_key_id: None,
                kind: RequestKind::Chat,
                model: MODEL.into(),
                streamed: false,
                error_message: "it failed".into(),
                latency_ms: 1,
            };
            let (account, request) = of(request);
            (life(gateway), account, request, Payload::AuthorizationReleased(data.into()))
        }
        Step::Expire(request) => {
            let (account, request) = of(request);
            let data = AuthorizationExpired { reason: ExpiryReason::GatewayFenced };
            (ledger, account, request, Payload::AuthorizationExpired(data.into()))
        }
        Step::Fence(gateway) => {
            let data = GatewayFenced { gateway: life(gateway), missing: Vec::new() };
            (ledger, None, None, Payload::GatewayFenced(data.into()))
        }
    }
}

/// A log that the ledger would have written: what its fold rejects is left out.
#[derive(Default)]
struct Told {
    books: Books,
    /// By customer's account, then by ledger account.
    journal: HashMap<AccountId, BTreeMap<LedgerAccount, i64>>,
    position: u64,
}

impl Told {
    fn tell(&mut self, emitter: EmitterId, account_number: Option<u128>, request: Option<u128>, payload: Payload) {
        self.position += 1;
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id: account_number.map(account),
            request_id: request.map(|number| RequestId(Uuid::from_u128(3_000 + number))),
            emitter,
            seq: self.position,
            time: DateTime::UNIX_EPOCH,
            // The last one is a sandbox.
            livemode: account_number != Some(ACCOUNTS - 1),
        };
        let Ok(Applied::New { moved, .. }) = self.books.apply(self.position, &Event { header, payload }) else {
            return;
        };
        let lines = postings(&moved).unwrap();
        for currency in [Currency::Credits, Currency::Usd] {
            let sum: i64 =
                lines.iter().filter(|line| line.account.currency() == currency).map(|line| line.amount).sum();
            assert_eq!(sum, 0, "{lines:?}");
        }
        let Some(account_id) = header.account_id else { return assert_eq!(lines, []) };
        for line in lines {
            *self.journal.entry(account_id).or_default().entry(line.account).or_default() += line.amount;
        }
    }
}

proptest! {
    #[test]
    fn the_postings_add_up_to_the_books(steps in steps()) {
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
        let mut told = Told::default();
        let published = PriceBookPublished { book: book.clone(), by: "test".into(), why: "test".into() };
        told.tell(life(LIVES), None, None, Payload::PriceBookPublished(published.into()));
        for number in 0..ACCOUNTS {
            let counterpart = account(100 + number);
            let opened =
                AccountOpened { tier: Tier::Pro, counterpart, reference: None, by: "test".into(), why: "test".into() };
            told.tell(life(LIVES), Some(number), None, Payload::AccountOpened(opened.into()));
            let step = Step::Add(number, 50);
            let (emitter, account, request, payload) = said(step, &book);
            told.tell(emitter, account, request, payload);
        }
        for step in steps {
            let (emitter, account, request, payload) = said(step, &book);
            told.tell(emitter, account, request, payload);
            for (id, account) in &told.books.accounts {
                use LedgerAccount::*;
                let sum = |of: LedgerAccount| told.journal.get(id).and_then(|sums| sums.get(&of)).copied().unwrap_or(0);
                prop_assert_eq!(-sum(CustomerAvailable), account.available().unwrap().get());
                prop_assert_eq!(-sum(CustomerHeld), account.held.get());
                prop_assert_eq!(-sum(Revenue), account.charged.get());
                prop_assert_eq!(sum(Cash) + sum(Adjustments), account.bought.get());
                prop_assert_eq!((sum(PlatformLoss), -sum(UsageNotCharged)), (account.lost.get(), account.lost.get()));
            }
        }
    }
}
