use chrono::{DateTime, Utc};
use schemas::books::Moved;
use schemas::event::Payload;
use schemas::money::{MoneyError, Nanocredits};
use uuid::Uuid;

/// What an account has at some position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Posted: bought and not charged, credits.
    pub balance: Nanocredits,
    /// In open holds, credits.
    pub held: Nanocredits,
}

impl Standing {
    /// The same after something moved.
    pub(super) fn after(self, moved: &Moved) -> Result<Self, MoneyError> {
        let balance = self.balance.plus(moved.bought()?)?.minus(moved.charged)?;
        Ok(Self { balance, held: self.held.plus(moved.held)? })
    }
}

/// A posting of the journal, or the opening of an account: what it moved, and what the account had then.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Entry {
    pub position: i64,
    pub recorded_at: DateTime<Utc>,
    pub account_id: Uuid,
    pub request_id: Option<Uuid>,
    pub livemode: bool,
    pub entry: &'static str,
    pub moved: Moved,
    pub after: Standing,
}

/// What the journal calls what an event does.
pub(super) fn entry_name(payload: &Payload) -> &'static str {
    match payload {
        Payload::AccountOpened(_) => "opening",
        Payload::CreditsAdded(_) => "top_up",
        Payload::CreditsAdjusted(_) => "adjustment",
        Payload::RequestAuthorized(_) => "hold",
        Payload::UsageRecorded(_) => "usage",
        Payload::CreditsDeducted(_) => "charge",
        Payload::AuthorizationReleased(_) => "release",
        Payload::AuthorizationExpired(_) => "expiry",
        _ => "other",
    }
}
