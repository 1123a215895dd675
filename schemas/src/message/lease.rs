//! Credits that one life of a gateway may spend alone. Totals only: the larger one wins, so nothing needs to arrive, or only once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, EmitterId};
use crate::money::Nanocredits;

/// A gateway needs credits of an account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LeaseRequest {
    /// The life that asks.
    pub gateway: EmitterId,
    /// Whose credits.
    pub account_id: AccountId,
    /// What it knows to have been granted in all. The ledger answers at least with its own larger total.
    pub granted_total: Nanocredits,
    /// What it lacks now, on top of that total, credits; less is of no use to it.
    pub need: Nanocredits,
    /// What would be good to have, on top of that total, credits; at least `need`.
    pub want: Nanocredits,
}

/// The ledger's word.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LeaseReply {
    /// Granted to that life for this account in all, credits. Less than asked means that there is no more to be had now.
    pub granted_total: Nanocredits,
    /// What no gateway holds, after this grant, credits.
    pub unleased: Nanocredits,
    /// What customers see as available, all leases included, after this grant, credits.
    pub available: Nanocredits,
    /// In open holds of all gateways, credits.
    pub held: Nanocredits,
    /// The ledger's position of these figures.
    pub position: u64,
}

/// Another gateway needs what this one holds unused.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recall {
    /// Whose credits.
    pub account_id: AccountId,
    /// How many are needed, credits.
    pub need: Nanocredits,
}

/// What it gave up: nothing, if it uses all that it has.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Recalled {
    /// Returned by that life for this account in all, credits.
    pub returned_total: Nanocredits,
}
