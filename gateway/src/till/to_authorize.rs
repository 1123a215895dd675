use std::time::Instant;

use schemas::event::RequestKind;
use schemas::ids::RequestId;
use schemas::money::Nanocredits;
use schemas::rate::Bounds;

/// A request that waits for its hold.
#[derive(Clone, Debug)]
pub struct ToAuthorize {
    /// Its id, in the events and toward the client.
    pub request_id: RequestId,
    /// Which route.
    pub kind: RequestKind,
    /// Id in the price book.
    pub model: String,
    /// Other models that may answer instead; the hold is enough for each.
    pub fallbacks: Vec<String>,
    /// Which provider connection will be asked first.
    pub upstream: String,
    /// Whether the client wants the answer chunk by chunk.
    pub streamed: bool,
    /// The most that it can be charged, credits.
    pub hold: Nanocredits,
    /// What the hold was computed from.
    pub bounds: Bounds,
    /// The price book that it was computed by.
    pub price_version: u32,
    /// When the request came.
    pub arrived: Instant,
}
