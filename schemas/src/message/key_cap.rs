//! Room below a key's cap, set aside request by request. The ledger decides, since it alone knows what every gateway spends.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, EmitterId, RequestId};
use crate::key_limits::Cap;
use crate::money::Nanocredits;

/// A gateway is about to authorize requests of a key that has a cap. One question a key is under way at a time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReserveKey {
    /// The life that asks.
    pub gateway: EmitterId,
    /// The key.
    pub api_key_id: ApiKeyId,
    /// Counts this life's questions about this key, from 1: an older one that comes later is not answered.
    pub seq: u64,
    /// Requests, in the order in which they came, and the most that each can cost, credits.
    pub wanted: Vec<(RequestId, Nanocredits)>,
    /// Requests of earlier questions that will not be authorized: their room is free again.
    pub dropped: Vec<RequestId>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReserved {
    /// Of those that were wanted, these have their room.
    pub granted: Vec<RequestId>,
    /// The key's cap.
    pub cap: Cap,
    /// Charged in this period, credits.
    pub charged: Nanocredits,
    /// In open holds of this period, and set aside for requests that are being authorized, credits.
    pub held: Nanocredits,
    /// When the period is over; never, if it lasts for ever.
    pub until: Option<DateTime<Utc>>,
}

impl KeyReserved {
    /// What can still be set aside, credits.
    pub fn left(&self) -> Nanocredits {
        self.cap.credits.minus_or_zero(self.charged).minus_or_zero(self.held)
    }
}
