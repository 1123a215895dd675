//! A gateway's life: registered, heard, told how far its events are, fenced.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::api_key::KeyHash;
use crate::ids::{AccountId, EmitterId};
use crate::price_book::PriceBook;
use crate::tier::Tier;

/// A gateway begins a life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Register {
    /// Fresh, never used before; an unanswered registration is abandoned, not repeated.
    pub gateway: EmitterId,
    /// The process: the same in all its lives.
    pub process: Uuid,
}

/// The life may authorize through its gates.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// Of the stream that the gates are in.
    pub generation: u64,
    /// Stream sequence of each gate's `open` message, by gate.
    pub gates: Vec<u64>,
    /// Silent for longer than this, milliseconds, the life may be fenced.
    pub lease_ms: u64,
    /// The longest that a request may run, milliseconds.
    pub request_ms: u64,
    /// Prices in force.
    pub price_book: Arc<PriceBook>,
}

/// Are my gates still open? Asked after a reconnect, before any acknowledgement counts.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Confirm {
    /// The life that asks.
    pub gateway: EmitterId,
    /// Of the stream that its gates are in.
    pub generation: u64,
}

/// The answer to that.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// Whether the life can go on; if not, it begins a new one.
    pub open: bool,
}

/// A gateway process is alive. Sent several times in a lease time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The process: counted to share rate limits.
    pub process: Uuid,
    /// Its lives: the one that authorizes, and older ones with events that are not appended yet.
    pub lives: Vec<EmitterId>,
    /// The process is about to end: its lives may be fenced at once.
    #[serde(default)]
    pub leaving: bool,
}

/// Where the ledger is. Sent each second, and at once when the generation changes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Beacon {
    /// Of the active writer.
    pub epoch: u64,
    /// Of the stream that is read now.
    pub generation: u64,
    /// Last position appended.
    pub position: u64,
    /// How full the stream is.
    pub stream_used_percent: u8,
    /// Prices in force.
    pub price_version: u32,
}

/// How far an emitter's events are appended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// Every `seq` up to here is appended; it need not be kept any longer.
    pub through: u64,
    /// What came beyond that: inclusive ranges of `seq` between which holes are.
    pub beyond: Vec<(u64, u64)>,
    /// Last position appended.
    pub position: u64,
}

/// A key is refused from now on; each gateway answers with [`RevocationSeen`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// SHA-256 of the key.
    pub key_hash: KeyHash,
    /// Of its `ApiKeyRevoked`.
    pub position: u64,
}

/// This gateway refuses the key from now on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RevocationSeen {
    /// The lives for which this holds.
    pub lives: Vec<EmitterId>,
}

/// An account's plan changed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TierChangedNotice {
    /// Whose.
    pub account_id: AccountId,
    /// The new one.
    pub tier: Tier,
}
