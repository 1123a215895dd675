//! Random logs that the ledger would have written: whatever is proposed goes through its fold, and what that rejects is left out.

use proptest::prelude::*;
use schemas::books::{Applied, Books};
use schemas::event::{Event, LeaseGranted, Payload, ReleaseReason};
use schemas::ids::{AccountId, EmitterId, RequestId};
use schemas::money::Nanocredits;
use schemas::tier::Tier;
use uuid::Uuid;

use super::{Story, credits};

/// Something that may happen next. The numbers pick one of the few accounts, gateways and requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Buy(usize, i64),
    Authorize(usize, usize, i64),
    Use(usize, u64),
    Deduct(usize),
    Release(usize),
    Expire(usize),
    Fence(usize),
    SetTier(usize),
}

const ACCOUNTS: usize = 3;
const GATEWAYS: usize = 3;
const REQUESTS: usize = 12;

pub(crate) fn steps(at_most: usize) -> impl Strategy<Value = Vec<Step>> {
    let (account, gateway, request) = (0..ACCOUNTS, 0..GATEWAYS, 0..REQUESTS);
    let step = prop_oneof![
        1 => (account.clone(), 1..50_i64).prop_map(|(a, n)| Step::Buy(a, n)),
        6 => (request.clone(), gateway.clone(), 0..8_i64).prop_map(|(r, g, n)| Step::Authorize(r, g, n)),
        6 => (request.clone(), 0..400_000_u64).prop_map(|(r, n)| Step::Use(r, n)),
        6 => request.clone().prop_map(Step::Deduct),
        2 => request.clone().prop_map(Step::Release),
        1 => request.prop_map(Step::Expire),
        1 => gateway.prop_map(Step::Fence),
        1 => account.prop_map(Step::SetTier),
    ];
    prop::collection::vec(step, 0..at_most)
}

/// The log that comes of the steps, and the books that it adds up to.
pub(crate) fn log_of(steps: &[Step]) -> (Vec<Event>, Books) {
    let mut story = Story::new();
    let accounts: Vec<AccountId> = (0..ACCOUNTS).map(|_| story.opens(Tier::Pro)).collect();
    let gateways: Vec<EmitterId> = (0..GATEWAYS).map(|_| EmitterId(Uuid::now_v7())).collect();
    let requests: Vec<(RequestId, AccountId)> =
        (0..REQUESTS).map(|n| (story.request(), accounts[n % ACCOUNTS])).collect();
    for account in &accounts {
        story.buys(*account, credits(40));
        for gateway in &gateways {
            let granted = LeaseGranted { gateway: *gateway, granted_total: credits(10) };
            story.ledger_says(Some(*account), None, Payload::LeaseGranted(granted.into()));
        }
    }
    for step in steps {
        tell(&mut story, step, &accounts, &gateways, &requests);
    }
    let mut books = Books::default();
    let mut log = Vec::new();
    for event in story.events {
        if let Ok(Applied::New { .. }) = books.apply(log.len() as u64 + 1, &event) {
            log.push(event);
        }
    }
    (log, books)
}

fn tell(
    story: &mut Story,
    step: &Step,
    accounts: &[AccountId],
    gateways: &[EmitterId],
    requests: &[(RequestId, AccountId)],
) {
    match *step {
        Step::Buy(account, amount) => story.buys(accounts[account], credits(amount)),
        Step::Authorize(request, gateway, hold) => {
            let (request, account) = requests[request];
            story.gateway = gateways[gateway];
            story.authorizes(account, request, None, credits(hold));
        }
        Step::Use(request, tokens) => story.uses(requests[request].1, requests[request].0, tokens, tokens / 3),
        Step::Deduct(request) => story.deducts(requests[request].1, requests[request].0, Nanocredits::ZERO),
        Step::Release(request) => story.releases(requests[request].1, requests[request].0, ReleaseReason::Undecided),
        Step::Expire(request) => story.expires(requests[request].1, requests[request].0),
        Step::Fence(gateway) => story.fences(gateways[gateway]),
        Step::SetTier(account) => story.sets_tier(accounts[account], Tier::Team),
    }
}
