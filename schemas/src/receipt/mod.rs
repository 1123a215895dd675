//! A receipt: one request's events as they stand in the log, each with the proof that it does, and the signed checkpoint
//! that the proofs lead to. `docs/receipts.md` describes it for other people's verifiers.

mod check;
mod sum;

pub use check::{Checked, CheckedEvent, check};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
pub use sum::Sum;

use crate::ids::{AccountId, RequestId};
use crate::merkle::Hash;

/// The format that is written today.
pub const FORMAT: &str = "layers-receipt/v1";

/// One request, provable without the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Always `layers-receipt/v1`.
    pub format: String,
    /// Which request.
    pub request_id: RequestId,
    /// Whose.
    pub account_id: AccountId,
    /// Whether the request had ended when this was written. What comes later (an adjustment) stands in a later receipt.
    pub complete: bool,
    /// The signed note (C2SP tlog-checkpoint) of the log that all proofs lead to.
    pub checkpoint: String,
    /// The request's events, in the log's order.
    pub events: Vec<Proved>,
    /// The event that published the prices which the usage was rated by; absent where there is no usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<Proved>,
}

/// An event, its place, and the proof that it stands there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proved {
    /// In the log, from 1. The leaf's index in the tree is one less.
    pub position: u64,
    /// The event's own bytes: UTF-8, as they were published and hashed.
    pub event: String,
    /// The audit path (RFC 6962, 2.1.1): hashes in base64, from the leaf's sibling to the root's child.
    pub proof: Vec<Hash>,
}

/// JSON Schema of a receipt.
pub fn json_schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(Receipt);
    if let Some(properties) = schema.ensure_object().get_mut("properties").and_then(|value| value.as_object_mut()) {
        properties.insert("format".to_owned(), serde_json::json!({ "const": FORMAT }));
    }
    schema
}
