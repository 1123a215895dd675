//! Read your writes: what was written says at which position of the ledger it stands, and who reads may ask for read models
//! that are as far.

use axum::Json;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;

use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::log::request::PAUSES;

const HEADER: HeaderName = HeaderName::from_static("x-layers-position");
const PARAM: &str = "min_position";
/// Further than any ledger gets between two of its beacons: such a position was handed out by nobody, and is not waited for.
const FURTHEST_AHEAD: u64 = 1_000_000;

/// An answer, and the ledger's position that it is about: of what was written, or up to which it was read.
pub(crate) struct At<T>(u64, Json<T>);

impl<T> At<T> {
    /// Of something that was written.
    pub(crate) fn written(position: u64, body: T) -> Self {
        Self(position, Json(body))
    }

    /// Of something that was read.
    pub(crate) fn read(position: i64, body: T) -> Self {
        Self(u64::try_from(position).unwrap_or(0), Json(body))
    }
}

impl<T> IntoResponse for At<T>
where
    Json<T>: IntoResponse,
{
    fn into_response(self) -> Response {
        ([(HEADER, HeaderValue::from(self.0))], self.1).into_response()
    }
}

/// How old what is read may be.
#[derive(Debug, JsonSchema)]
#[allow(dead_code, reason = "`Reached` reads it; this describes it")]
pub(crate) struct Wanted {
    /// The answer holds at least what stands at this position: an `x-layers-position`. It is waited for, for a moment.
    min_position: Option<u64>,
}

/// The read models are as far as the query's `min_position` asks, if it does. A handler with this in its signature reads
/// nothing older.
#[derive(Debug)]
pub(crate) struct Reached;

impl FromRequestParts<Edge> for Reached {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Error> {
        // What else the query says is the route's business.
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Ok(Query(asked)) = query else { return Ok(Self) };
        match asked.iter().find(|(name, _)| name == PARAM) {
            Some((_, text)) => Self::at(edge, position(text, PARAM)?).await,
            None => Ok(Self),
        }
    }
}

impl Reached {
    /// Waits for a moment until the read models are as far.
    pub(crate) async fn at(edge: &Edge, position: u64) -> Result<Self, Error> {
        let balances = edge.balances().ok_or(Error::CannotRead)?;
        let mut pauses = PAUSES.into_iter();
        loop {
            let reached = balances.reached().await.map_err(|error| {
                tracing::warn!(%error, "position.unreadable");
                Error::CannotRead
            })?;
            let reached = u64::try_from(reached.ok_or(Error::CannotRead)?).unwrap_or(0);
            let newest = reached.max(*edge.till().announced().borrow());
            let pause = pauses.next().filter(|_| position <= newest.saturating_add(FURTHEST_AHEAD));
            match pause {
                _ if reached >= position => return Ok(Self),
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(Error::PositionNotYetKnown { reached, asked: position }),
            }
        }
    }
}

/// A position as a client writes it. What is too long for one is beyond every log.
pub(crate) fn position(text: &str, param: &str) -> Result<u64, Invalid> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("Invalid value for '{param}': expected a position of the ledger, a whole number.");
        return Err(Invalid::new("invalid_value", param, message));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_whole_numbers() {
        assert_eq!(position("0", PARAM), Ok(0));
        assert_eq!(position("42", PARAM), Ok(42));
        assert_eq!(position("99999999999999999999999", PARAM), Ok(u64::MAX));
        for text in ["", "-1", "+1", "1.0", "1e3", "x", "٣"] {
            let invalid = position(text, PARAM).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some("invalid_value"), Some(PARAM)), "{text}");
        }
    }

    #[test]
    fn a_position_stands_in_the_head_of_the_answer() {
        for (response, told) in [
            (At::written(7, "x").into_response(), "7"),
            (At::read(8, "x").into_response(), "8"),
            (At::read(-1, "x").into_response(), "0"),
        ] {
            assert_eq!(response.headers().get(HEADER).unwrap(), told);
        }
    }
}
