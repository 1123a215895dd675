//! The ledger's log, as far as gateways may see it: one request's events for its own account, and for everybody the log's
//! hashes and what was signed of them. Entries are never shown to others.

// `GET /ledger/checkpoint`, `GET /ledger/tile/…`.
pub mod public;

mod read;

// One request's events, at once.
pub(crate) mod request;

// `GET /v1/receipts/{request_id}`.
pub mod receipt;

pub use read::Log;

use crate::error::Error;

fn unreadable(error: sqlx::Error) -> Error {
    tracing::warn!(%error, "log.unreadable");
    Error::CannotRead
}
