//! `GET /v1/receipts/{request_id}`
//!
//! | phase | costs |
//! |---|---|
//! | the request's events | one query by its id; for a request that is just ending a few, within a moment |
//! | a checkpoint that covers them | the newest one; else the ledger is asked to sign, once for all who ask |
//! | proofs | a few tiles; each proof is checked before it leaves |

use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use schemas::event::{Event, Payload};
use schemas::ids::{AccountId, RequestId};
use schemas::merkle::{Tiles, inclusion_proof, inclusion_ranges, leaf_hash, verify_inclusion};
use schemas::price_book::PriceBook;
use schemas::receipt::{FORMAT, Proved, Receipt, Sum};

use super::read::{Entry, Signed};
use super::{Log, unreadable};
use crate::edge::Edge;
use crate::error::Error;
use crate::till::Caller;

/// A response is complete once its events are acknowledged; the ledger appends them within milliseconds. Who asks at once
/// waits so long for that, in all a second and a quarter.
const PAUSES: [Duration; 7] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
    Duration::from_millis(320),
    Duration::from_millis(640),
];

/// What the log has of a request.
struct Found {
    events: Vec<Entry>,
    prices: Option<Entry>,
    complete: bool,
}

/// `GET /v1/receipts/{request_id}`: the account's own requests, as they stand in the log. A request that still runs is shown
/// as far as it is, and says so.
///
/// # Errors
/// When the account has no such request, or neither database nor ledger answers.
pub async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    Path(asked): Path<String>,
) -> Result<Json<Receipt>, Error> {
    let request: RequestId = asked.parse().map_err(|_| Error::NoReceipt)?;
    let log = edge.log().ok_or(Error::CannotRead)?;
    let found = find(&edge, log, caller.account_id, request).await?;
    let all = found.prices.iter().chain(&found.events);
    let last = all.map(|entry| entry.position).max().ok_or(Error::NoReceipt)?;
    let signed = covering(&edge, log, last).await?;
    Ok(Json(receipt(log, caller.account_id, request, found, signed).await?))
}

async fn find(edge: &Edge, log: &Log, account: AccountId, request: RequestId) -> Result<Found, Error> {
    for pause in PAUSES {
        let found = look(log, account, request).await?;
        if found.complete || !may_run(edge, request) {
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
    let complete = Sum::of(&events, book.as_ref(), &mut odd).complete;
    if !odd.is_empty() {
        tracing::warn!(request.id = %request, odd = odd.join("; "), "receipt.odd");
    }
    Ok(Found { events: entries, prices, complete })
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

async fn covering(edge: &Edge, log: &Log, position: u64) -> Result<Signed, Error> {
    let newest = log.checkpoint().await.map_err(unreadable)?;
    if let Some(signed) = newest.filter(|signed| signed.size >= position) {
        return Ok(signed);
    }
    let reply = edge.till().checkpoint(position).await.ok_or(Error::CannotRead)?;
    Ok(Signed { size: reply.size, root: reply.root, note: reply.note })
}

async fn receipt(
    log: &Log,
    account_id: AccountId,
    request_id: RequestId,
    found: Found,
    signed: Signed,
) -> Result<Receipt, Error> {
    let all = found.prices.iter().chain(&found.events);
    let ranges: Vec<_> = all.flat_map(|entry| inclusion_ranges(entry.position - 1, signed.size)).collect();
    let tiles = log.tiles(&Tiles::wanted(&ranges), signed.size).await.map_err(unreadable)?;
    Ok(Receipt {
        format: FORMAT.to_owned(),
        request_id,
        account_id,
        complete: found.complete,
        events: found.events.into_iter().map(|entry| prove(entry, &signed, &tiles)).collect::<Result<_, _>>()?,
        prices: found.prices.map(|entry| prove(entry, &signed, &tiles)).transpose()?,
        checkpoint: signed.note,
    })
}

fn prove(entry: Entry, signed: &Signed, tiles: &Tiles) -> Result<Proved, Error> {
    let index = entry.position - 1;
    let proof = inclusion_proof(index, signed.size, tiles).map_err(|missing| defect(&missing.to_string()))?;
    // An event that was changed, or a tile: nobody gets a receipt for it, and the operator hears of it.
    verify_inclusion(leaf_hash(&entry.bytes), index, signed.size, &proof, signed.root)
        .map_err(|error| defect(&format!("position {}: {error}", entry.position)))?;
    let event = String::from_utf8(entry.bytes).map_err(|_| defect("an event is no text"))?;
    Ok(Proved { position: entry.position, event, proof })
}

fn defect(what: &str) -> Error {
    tracing::error!(what, "receipt.unprovable: the log does not hold together; run `ledger verify`");
    Error::Unprovable
}
