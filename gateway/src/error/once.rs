//! How a request looks whose idempotency key is in the way.

use std::time::Duration;

use axum::http::StatusCode;
use schemas::ids::RequestId;

use super::face::{Face, unavailable};

pub(super) fn reused() -> Face {
    Face::invalid(
        StatusCode::CONFLICT,
        Some("idempotency_key_reused"),
        "This Idempotency-Key was sent with another request before. A new request needs a new key.",
    )
    .never_retry()
}

/// SDKs try a 409 again by themselves, which is right here.
pub(super) fn in_use(retry_after: Duration) -> Face {
    Face::invalid(
        StatusCode::CONFLICT,
        Some("idempotency_key_in_use"),
        "A request with this Idempotency-Key is still running. Try again with the same key to get its answer.",
    )
    .after(retry_after)
}

pub(super) fn gone(first: RequestId) -> Face {
    let message = format!(
        "The request with this Idempotency-Key ({first}) was charged, but its answer was not kept: it was too large, or its \
         client or its gateway was gone before it ended. Nothing more is charged under this key; to ask again, use a new one."
    );
    Face::invalid(StatusCode::GONE, Some("idempotent_answer_gone"), message).never_retry()
}

/// Only ever the end of a stream that is given again.
pub(super) fn incomplete() -> Face {
    Face::invalid(
        StatusCode::GONE,
        Some("idempotent_answer_incomplete"),
        "The first request with this Idempotency-Key was left before its stream ended. This is what was delivered and \
         charged; for a whole answer, ask with a new key.",
    )
    .never_retry()
}

pub(super) fn unreachable() -> Face {
    unavailable("idempotency_unavailable", "Idempotency keys cannot be looked up right now. Please try again.")
        .after(Duration::from_secs(1))
}
