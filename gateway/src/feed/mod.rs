//! `GET /v1/events`: what changes an account's balance, and what its requests used, as it happens, in the ledger's order.
//!
//! | phase | costs |
//! |---|---|
//! | begin: after `Last-Event-ID`, or with what the account has now | one query |
//! | read on from there, as far as the read models are | one look into an index a page |
//! | nothing more: wait until the ledger tells of a later position | nothing; a comment now and then |
//! | the client leaves, its key is no good any more, or this gateway stops | the client goes on elsewhere by `Last-Event-ID` |
//!
//! Nothing is lost or doubled: the id of an event is its position, a page is read only when the client has taken the one
//! before, and what is told was committed. So a feed needs no more memory than a page, however slow its client is.

mod course;
mod places;
mod read;
mod told;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::{Extension, response::IntoResponse};
use schemars::JsonSchema;
use serde::Deserialize;

use self::course::Course;
pub(crate) use self::places::Feeds;
pub(crate) use self::told::Told;
use crate::billing::asked;
use crate::edge::Edge;
use crate::entrance::given;
use crate::error::{Error, Invalid};
use crate::position::{Reached, position};
use crate::till::Caller;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that gather what they pass on must not.
const UNGATHERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Where to begin, and whether to go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The same as the header `Last-Event-ID`, which wins: tell what came after this position. 0: everything.
    last_event_id: Option<u64>,
    /// False: end when all is told that there is.
    follow: Option<bool>,
}

/// `GET /v1/events`: the account's own.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Error> {
    let wanted = asked(query)?;
    let last = last_event_id(&headers)?.or(wanted.last_event_id);
    let feeds = edge.feeds().ok_or(Error::CannotRead)?;
    let place = feeds.take(caller.account_id).ok_or(Error::TooManyFeeds)?;
    if let Some(last) = last {
        Reached::at(&edge, last).await?;
    }
    // Looked at again while the feed is open; in test mode there may be none.
    let secret = given(&headers).and_then(Result::ok).map(str::to_owned);
    let follow = wanted.follow.unwrap_or(true);
    let course = Course::begin(edge.clone(), caller.account_id, secret, place, last, follow).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (UNGATHERED, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(course.pieces())).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Invalid> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    position(value.to_str().unwrap_or_default(), LAST_EVENT_ID.as_str()).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_goes_on_after_a_position_and_nothing_else() {
        let of = |value: &str| {
            last_event_id(&HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_str(value).unwrap())]))
        };
        assert_eq!(last_event_id(&HeaderMap::new()), Ok(None));
        assert_eq!(of("17"), Ok(Some(17)));
        for value in ["", "x", "-1", "17 "] {
            assert_eq!(of(value).unwrap_err().param.as_deref(), Some("last-event-id"), "{value}");
        }
    }
}
