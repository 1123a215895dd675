//! The money side against a real stream.

mod small_ledger;

mod closing;
mod keys;
mod last_credit;
mod new_life;
mod panic;
mod reconnect;
mod undecided;

use std::time::{Duration, Instant};

use gateway::till::{Caller, Hold, Refused, Till, TillConfig, ToAuthorize};
use schemas::event::{RequestKind, UsageRecorded, UsageSource, UsageStatus};
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use schemas::tier::Tier;
use small_ledger::SmallLedger;
use uuid::Uuid;

const MODEL: &str = "anthropic/claude-sonnet-4.5";
/// Long enough for a loaded machine; what a test waits for normally takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

async fn till(ledger: &SmallLedger) -> Till {
    let till = Till::open(TillConfig::new(ledger.nats.url(), ledger.cell.clone())).await.unwrap();
    until("registered", || till.health().ready()).await;
    till
}

fn caller(account_id: AccountId) -> Caller {
    Caller { api_key_id: None, account_id, livemode: true, tier: Tier::Team, restrictions: Default::default() }
}

fn credits(text: &str) -> Nanocredits {
    text.parse().unwrap()
}

fn request(hold: &str) -> ToAuthorize {
    ToAuthorize {
        request_id: RequestId(Uuid::now_v7()),
        kind: RequestKind::Chat,
        model: MODEL.into(),
        fallbacks: Vec::new(),
        upstream: "simulator".into(),
        streamed: false,
        hold: credits(hold),
        bounds: Bounds::default(),
        price_version: 1,
        arrived: Instant::now(),
    }
}

/// 2,000 tokens in and 1,000 out: 3.36 credits.
fn usage() -> UsageRecorded {
    let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
    let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
    let rating = rate(&book, MODEL, &usage).unwrap();
    UsageRecorded {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.into(),
        served_model: None,
        provider: "anthropic".into(),
        upstream: "simulator".into(),
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

/// One request, paid.
async fn pay(till: &Till, account_id: AccountId) -> Result<Nanocredits, Refused> {
    let hold = till.authorize(&caller(account_id), request("4")).await?;
    Ok(hold.settle(usage()).await.unwrap().charged)
}

/// Asks again while it is told to come again.
async fn authorize_in_the_end(till: &Till, account_id: AccountId) -> Hold {
    let until = Instant::now() + PATIENCE;
    loop {
        match till.authorize(&caller(account_id), request("4")).await {
            Ok(hold) => return hold,
            Err(refused) => assert!(Instant::now() < until, "in vain: {refused}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until(what: &str, mut look: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < until, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
