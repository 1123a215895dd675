//! The fold: events → accounts, leases, holds, keys, emitters. The ledger applies each event with it before it appends,
//! `verify` folds the whole log with it, and a rebuild of a read model starts from it.
//!
//! Either an event is applied as a whole or it is rejected and nothing changed.

mod apply;
mod moved;
mod postings;
mod slots;
mod state;

use std::collections::{BTreeMap, HashMap, HashSet};

pub use apply::{Applied, Rejected};
pub use moved::Moved;
pub use postings::{Currency, LedgerAccount, Posting, postings};
pub use slots::{Authorization, Change, Ending, FollowUp, Slots};
pub use state::{Account, ApiKey, Closed, ClosedAs, Emitter, Hold, KeySpending, Lease, Published, Referenced};

use crate::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use crate::key_limits::KeyPeriod;

/// What is odd about an event that was applied all the same. Shown to the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// The request had an authorization already; this one moved nothing.
    SecondAuthorization,
    /// The request had a usage already; this one moved nothing.
    SecondUsage,
    /// The request had ended already; this ending moved nothing.
    SecondEnding,
    /// Read after its gateway's fence: it holds nothing.
    AuthorizedAfterFence,
    /// The request had ended without a charge.
    LateUsage,
    /// The deduction claims another amount than the usage is worth; its amount moved nothing.
    ClaimDiffers,
    /// The usage was rated by the gateway to another amount than by the ledger.
    RatingDiffers,
    /// A return after the fence moved nothing.
    ReturnedAfterFence,
}

impl Note {
    /// As it is written in tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecondAuthorization => "second_authorization",
            Self::SecondUsage => "second_usage",
            Self::SecondEnding => "second_ending",
            Self::AuthorizedAfterFence => "authorized_after_fence",
            Self::LateUsage => "late_usage",
            Self::ClaimDiffers => "claim_differs",
            Self::RatingDiffers => "rating_differs",
            Self::ReturnedAfterFence => "returned_after_fence",
        }
    }
}

/// What the events so far add up to, or the part of it that a batch touches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Books {
    /// By id.
    pub accounts: HashMap<AccountId, Account>,
    /// By life and account.
    pub leases: HashMap<(EmitterId, AccountId), Lease>,
    /// By request.
    pub holds: HashMap<RequestId, Hold>,
    /// By id.
    pub emitters: HashMap<EmitterId, Emitter>,
    /// By id.
    pub keys: HashMap<ApiKeyId, ApiKey>,
    /// By key with a cap, and period.
    pub spending: HashMap<KeyPeriod, KeySpending>,
    /// By account and reference.
    pub references: HashMap<(AccountId, String), Referenced>,
    /// By version.
    pub prices: BTreeMap<u32, Published>,
    /// Entries of the quarantine that were dealt with, by their id there.
    pub closed: HashMap<u64, Closed>,
    /// What was changed since this was last emptied.
    pub changed: Changed,
}

/// The keys of what was changed.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Changed {
    pub accounts: HashSet<AccountId>,
    pub leases: HashSet<(EmitterId, AccountId)>,
    pub holds: HashSet<RequestId>,
    pub emitters: HashSet<EmitterId>,
    pub keys: HashSet<ApiKeyId>,
    pub spending: HashSet<KeyPeriod>,
    pub references: HashSet<(AccountId, String)>,
    pub prices: HashSet<u32>,
    pub closed: HashSet<u64>,
}

impl Books {
    /// Prices in force.
    pub fn current_prices(&self) -> Option<&Published> {
        self.prices.last_key_value().map(|(_, published)| published)
    }

    /// Where a request is counted, if its key has a cap.
    pub fn key_period(&self, api_key_id: Option<ApiKeyId>, request_id: RequestId) -> Option<KeyPeriod> {
        let key = self.keys.get(&api_key_id?)?;
        Some(KeyPeriod::of(key.api_key_id, key.restrictions.cap?.period, request_id))
    }
}
