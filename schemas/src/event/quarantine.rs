//! What becomes of messages that the ledger could not apply. They are kept for ever, with their bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::hash::MessageHash;
use crate::ids::EmitterId;

/// A message left the quarantine: its event is in the log now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineReplayed {
    /// Which entry of the quarantine.
    pub entry: u64,
    /// SHA-256 of the message's bytes.
    pub sha256: MessageHash,
    /// The life that said it.
    pub emitter: EmitterId,
    /// That life's counter.
    pub seq: u64,
    /// Where its event stands in the log: before this one.
    pub position: u64,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// A message will never be applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineDismissed {
    /// Which entry of the quarantine.
    pub entry: u64,
    /// SHA-256 of the message's bytes.
    pub sha256: MessageHash,
    /// The life that said it, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emitter: Option<EmitterId>,
    /// That life's counter, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}
