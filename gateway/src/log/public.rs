//! The public form of the log (C2SP tlog-tiles): what was signed, and the hashes below it. No key is needed: whoever keeps a
//! checkpoint can prove that the log only grew.

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use schemas::merkle::Tile;

use super::{Log, unreadable};
use crate::edge::Edge;
use crate::error::Error;

/// There is a new one in a moment.
const MOMENT: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// A tile of this width never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// What is not there may come.
const NEVER: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /ledger/checkpoint`: the newest one.
///
/// # Errors
/// When there is none yet, or it cannot be read.
pub async fn checkpoint(State(edge): State<Edge>) -> Result<Response, Error> {
    let newest = log(&edge)?.checkpoint().await.map_err(unreadable)?;
    let Some(signed) = newest else { return Ok(not_there("checkpoint")) };
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, MOMENT)], signed.note).into_response())
}

/// `GET /ledger/tile/<L>/<N>[.p/<W>]`. There are no entries.
///
/// # Errors
/// When it cannot be read.
pub async fn tile(State(edge): State<Edge>, Path((level, place)): Path<(String, String)>) -> Result<Response, Error> {
    let path = format!("{level}/{place}");
    let Ok(tile) = path.parse::<Tile>() else { return Ok(not_there(&path)) };
    let Some(hashes) = log(&edge)?.tile(tile).await.map_err(unreadable)? else { return Ok(not_there(&path)) };
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, FOR_EVER)], hashes).into_response())
}

fn not_there(what: &str) -> Response {
    let mut response = Error::NotInLog { asked: what.chars().take(100).collect() }.into_response();
    response.headers_mut().insert(CACHE_CONTROL, NEVER);
    response
}

fn log(edge: &Edge) -> Result<&Log, Error> {
    edge.log().ok_or(Error::CannotRead)
}
