use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::key_limits::Cap;
use schemas::money::Nanocredits;

/// Why a request may not go to a provider. The first two are said on the ledger's word only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The account does not have it, even when every open hold ends without a charge.
    #[error("the account has too few credits")]
    InsufficientCredits {
        /// The request's hold, credits.
        needed: Nanocredits,
        /// What can still be spent, credits.
        available: Nanocredits,
        /// In open holds, credits.
        held: Nanocredits,
    },
    /// It would be enough, but it is held for requests that run, or set aside at another gateway, now: trying again helps.
    #[error("the account's credits are held for running requests")]
    CreditsHeld {
        /// The request's hold, credits.
        needed: Nanocredits,
        /// What can still be spent, credits.
        available: Nanocredits,
        /// In open holds, credits.
        held: Nanocredits,
    },
    /// The key may not ask this model.
    #[error("the key may not ask this model")]
    ModelNotAllowed,
    /// It is more than is left of the key's cap.
    #[error("the key's cap is reached")]
    KeyCapReached {
        /// The request's hold, credits.
        needed: Nanocredits,
        /// What is neither spent nor held, credits.
        left: Nanocredits,
        /// In open holds of this key, credits.
        held: Nanocredits,
        /// The cap.
        cap: Cap,
        /// When it begins anew; never, if it is for ever.
        until: Option<DateTime<Utc>>,
    },
    /// Nobody can say now; nothing about the account.
    #[error("requests cannot be authorized now: {why}")]
    Unavailable {
        /// For people and metrics: one of few.
        why: &'static str,
        /// When it makes sense to try again.
        retry_after: Duration,
    },
}

impl Refused {
    /// Not now, for this reason; try again in a second.
    pub(super) const fn unavailable(why: &'static str) -> Self {
        Self::Unavailable { why, retry_after: Duration::from_secs(1) }
    }
}
