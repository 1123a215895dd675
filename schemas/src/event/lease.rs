//! Credits set aside for one life of a gateway. All amounts are totals, so that none needs to arrive, or only once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::EmitterId;
use crate::money::Nanocredits;

/// Credits of the account are set aside for one life of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseGranted {
    /// The life that may spend them.
    pub gateway: EmitterId,
    /// Granted to that life for this account in all, credits.
    pub granted_total: Nanocredits,
}

/// The emitter gives back credits that it does not use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseReturned {
    /// Returned by that life for this account in all, credits.
    pub returned_total: Nanocredits,
}

/// A silent gateway's life is over: everything of it that can count has been read, and its leases are taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GatewayFenced {
    /// The life that ended.
    pub gateway: EmitterId,
    /// Sequence numbers of it that have not come: inclusive ranges.
    pub missing: Vec<(u64, u64)>,
}
