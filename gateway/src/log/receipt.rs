//! `GET /v1/receipts/{request_id}`
//!
//! | phase | costs |
//! |---|---|
//! | the request's events | one query by its id; for a request that is just ending a few, within a moment |
//! | a checkpoint that covers them | the newest one; else the ledger is asked to sign, once for all who ask |
//! | proofs | a few tiles; each proof is checked before it leaves |

use axum::Extension;
use axum::extract::{Path, State};
use schemas::ids::{AccountId, RequestId};
use schemas::merkle::{Tiles, inclusion_proof, inclusion_ranges, leaf_hash, verify_inclusion};
use schemas::receipt::{FORMAT, Proved, Receipt};

use super::read::{Entry, Signed};
use super::request::{Found, defect, find};
use super::{Log, unreadable};
use crate::edge::Edge;
use crate::error::Error;
use crate::position::At;
use crate::till::Caller;

/// `GET /v1/receipts/{request_id}`: the account's own requests, as they stand in the log. A request that still runs is shown
/// as far as it is, and says so.
///
/// # Errors
/// When the account has no such request, or neither database nor ledger answers.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    Path(asked): Path<String>,
) -> Result<At<Receipt>, Error> {
    let request: RequestId = asked.parse().map_err(|_| Error::NoReceipt)?;
    let log = edge.log().ok_or(Error::CannotRead)?;
    let found = find(&edge, log, caller.account_id, request).await?;
    let last = last(&found)?;
    Ok(At::written(last, proved(&edge, log, caller.account_id, request, found).await?))
}

/// What was found, with the proofs that it is in the log.
pub(crate) async fn proved(
    edge: &Edge,
    log: &Log,
    account: AccountId,
    request: RequestId,
    found: Found,
) -> Result<Receipt, Error> {
    let signed = covering(edge, log, last(&found)?).await?;
    receipt(log, account, request, found, signed).await
}

/// The last position that is to be proved.
fn last(found: &Found) -> Result<u64, Error> {
    let all = found.prices.iter().chain(&found.entries);
    all.map(|entry| entry.position).max().ok_or(Error::NoReceipt)
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
    let all = found.prices.iter().chain(&found.entries);
    let ranges: Vec<_> = all.flat_map(|entry| inclusion_ranges(entry.position - 1, signed.size)).collect();
    let tiles = log.tiles(&Tiles::wanted(&ranges), signed.size).await.map_err(unreadable)?;
    Ok(Receipt {
        format: FORMAT.to_owned(),
        request_id,
        account_id,
        complete: found.sum.complete,
        events: found.entries.into_iter().map(|entry| prove(entry, &signed, &tiles)).collect::<Result<_, _>>()?,
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
