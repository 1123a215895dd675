//! One request's events, at once: a response is complete when its events are acknowledged, and the ledger appends them within
//! milliseconds. Who asks in between waits for that.

use std::time::Duration;

use schemas::event::{Event, Payload};
use schemas::ids::{AccountId, RequestId};
use schemas::price_book::PriceBook;
use schemas::receipt::Sum;

use super::read::Entry;
use super::{Log, unreadable};
use crate::edge::Edge;
use crate::error::Error;

/// What is waited for, look by look: in all a second and a quarter.
pub(crate) const PAUSES: [Duration; 7] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
];

/// What the log has of a request.
pub(crate) struct Found {
    /// Its events as they are stored, in the log's order.
    pub(super) entries: Vec<Entry>,
    /// The same, read, with their positions.
    pub(crate) events: Vec<(u64, Event)>,
    /// The event that published the prices of its usage.
    pub(super) prices: Option<Entry>,
    /// What they come to.
    pub(crate) sum: Sum,
}

/// A request of an account, as it stands in the log; one that is just ending, once it has. No events: there is none, or it is
/// another's.
pub(crate) async fn find(edge: &Edge, log: &Log, account: AccountId, request: RequestId) -> Result<Found, Error> {
    for pause in PAUSES {
        let found = look(log, account, request).await?;
        if found.sum.complete || !may_run(edge, request) {
            return Ok(found);
        }
        tokio::time::sleep(pause).await;
    }
    look(log, account, request).await
}

/// Ids are made when a request arrives, so an old one is not waited for.
fn may_run(edge: &Edge, request: RequestId) -> bool {
    let began = request.0.get_timestamp().map_or(0, |time| time.to_unix().0);
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or(0);
    (began..=began.saturating_add(edge.till().request_limit().as_secs())).contains(&now)
}

async fn look(log: &Log, account: AccountId, request: RequestId) -> Result<Found, Error> {
    let entries = log.events(account, request).await.map_err(unreadable)?;
    let mut events = Vec::new();
    for entry in &entries {
        events.push((entry.position, decode(entry)?));
    }
    let version = events.iter().find_map(|(_, event)| match &event.payload {
        Payload::UsageRecorded(data) => Some(data.price_version),
        _ => None,
    });
    let prices = match version {
        Some(version) => {
            Some(log.price_book(version).await.map_err(unreadable)?.ok_or_else(|| defect("no price book"))?)
        }
        None => None,
    };
    let book = prices.as_ref().map(book).transpose()?;
    let mut odd = Vec::new();
    let sum = Sum::of(&events, book.as_ref(), &mut odd);
    if !odd.is_empty() {
        tracing::warn!(request.id = %request, odd = odd.join("; "), "receipt.odd");
    }
    Ok(Found { entries, events, prices, sum })
}

fn book(entry: &Entry) -> Result<PriceBook, Error> {
    match decode(entry)?.payload {
        Payload::PriceBookPublished(data) => Ok(data.book),
        _ => Err(defect("a price book's position has no price book")),
    }
}

fn decode(entry: &Entry) -> Result<Event, Error> {
    Event::decode(&entry.bytes).map_err(|error| defect(&format!("position {}: {error}", entry.position)))
}

/// The log does not hold together: the operator hears of it.
pub(super) fn defect(what: &str) -> Error {
    tracing::error!(what, "receipt.unprovable: the log does not hold together; run `ledger verify`");
    Error::Unprovable
}
