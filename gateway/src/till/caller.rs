use std::sync::Arc;

use schemas::ids::{AccountId, ApiKeyId};
use schemas::key_limits::{Cap, Restrictions};
use schemas::tier::Tier;

/// Who asks, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The key; absent in test mode without a key.
    pub api_key_id: Option<ApiKeyId>,
    /// Who pays.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// The account's plan.
    pub tier: Tier,
    /// What the key may do beside what its account may.
    pub restrictions: Arc<Restrictions>,
}

impl Caller {
    /// The key and its cap, if it has one.
    pub fn cap(&self) -> Option<(ApiKeyId, Cap)> {
        self.api_key_id.zip(self.restrictions.cap)
    }
}

/// Why nobody is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// Not of the form of a key.
    #[error("this is not an API key")]
    Malformed,
    /// No such key.
    #[error("no such API key")]
    Unknown,
    /// The key was revoked.
    #[error("this API key was revoked")]
    Revoked,
    /// The key's time is over.
    #[error("this API key has expired")]
    Expired,
    /// The ledger did not answer, so nothing is known of the key.
    #[error("API keys cannot be looked up now")]
    Unavailable,
}
