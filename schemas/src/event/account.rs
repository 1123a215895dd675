//! What commands do to accounts. Who did it and why is in each.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api_key::KeyHash;
use crate::ids::{AccountId, ApiKeyId};
use crate::key_limits::Restrictions;
use crate::money::Nanocredits;
use crate::price_book::PriceBook;
use crate::tier::Tier;

/// An account exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountOpened {
    /// Its plan.
    pub tier: Tier,
    /// The other half: the sandbox of a live account, or the live account of a sandbox.
    pub counterpart: AccountId,
    /// The caller's reference, which makes the command repeatable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// An account changed its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierChanged {
    /// The new plan.
    pub tier: Tier,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// A key can be used. The secret itself was shown once and is kept nowhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyIssued {
    /// Its own id.
    pub api_key_id: ApiKeyId,
    /// SHA-256 of the secret.
    pub key_hash: KeyHash,
    /// The secret's first characters, by which people tell keys apart.
    pub key_prefix: String,
    /// What its owner calls it: a label, never a person's name.
    pub name: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Which models it may ask, and how much it may spend.
    #[serde(default, skip_serializing_if = "Restrictions::is_none")]
    pub restrictions: Restrictions,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// A key is refused from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeyRevoked {
    /// Its own id.
    pub api_key_id: ApiKeyId,
    /// SHA-256 of the secret.
    pub key_hash: KeyHash,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Credits were bought or given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditsAdded {
    /// Credits, more than zero.
    pub amount: Nanocredits,
    /// The caller's reference (a payment's id); the same one adds nothing twice.
    pub reference: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Credits were given or taken by a correction. What cannot be taken is the platform's loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditsAdjusted {
    /// Credits: more than zero gives, less than zero takes.
    pub amount: Nanocredits,
    /// What the platform bears because the account could not, credits.
    #[serde(default)]
    pub loss: Nanocredits,
    /// The caller's reference; the same one adjusts nothing twice.
    pub reference: String,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Prices are in force from this position on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceBookPublished {
    /// All of them.
    pub book: PriceBook,
    /// Who did it.
    pub by: String,
    /// Why.
    pub why: String,
}
