//! What the events add up to.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::slots::Slots;
use crate::hash::{KeyHash, MessageHash};
use crate::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use crate::key_limits::{KeyPeriod, Restrictions};
use crate::money::{MoneyError, Nanocredits};
use crate::price_book::PriceBook;
use crate::seq_set::SeqSet;
use crate::tier::Tier;

/// One account's money. `bought = unleased + leased + held + charged`, and each part is at least zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// Plan.
    pub tier: Tier,
    /// The other half: sandbox or live.
    pub counterpart: AccountId,
    /// The caller's reference under which it was opened.
    pub reference: Option<String>,
    /// Added and adjusted in all, credits.
    pub bought: Nanocredits,
    /// Held by no gateway, credits.
    pub unleased: Nanocredits,
    /// Set aside for gateways and not in a hold, credits.
    pub leased: Nanocredits,
    /// In open holds, credits.
    pub held: Nanocredits,
    /// Charged in all, credits.
    pub charged: Nanocredits,
    /// Borne by the platform for this account's requests in all, credits.
    pub lost: Nanocredits,
}

impl Account {
    /// Posted: bought and not charged, credits.
    pub fn balance(&self) -> Result<Nanocredits, MoneyError> {
        self.bought.minus(self.charged)
    }

    /// What can still be spent, leases included, credits.
    pub fn available(&self) -> Result<Nanocredits, MoneyError> {
        self.unleased.plus(self.leased)
    }

    /// Whether the parts add up and none is below zero.
    pub fn adds_up(&self) -> bool {
        let parts = [self.unleased, self.leased, self.held, self.charged];
        parts.iter().all(|part| !part.is_negative())
            && parts.iter().try_fold(Nanocredits::ZERO, |sum, part| sum.plus(*part)) == Ok(self.bought)
    }
}

/// Credits of one account set aside for one life of a gateway. All totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Granted in all, credits.
    pub granted: Nanocredits,
    /// Returned in all, credits.
    pub returned: Nanocredits,
    /// Charged out of it in all, credits.
    pub charged: Nanocredits,
    /// In open holds, credits.
    pub held: Nanocredits,
    /// Its gateway was fenced: what was free has been taken back, and what becomes free goes to the account.
    pub closed: bool,
}

impl Lease {
    /// What the gateway can still set aside, credits.
    pub fn free(&self) -> Result<Nanocredits, MoneyError> {
        if self.closed {
            return Ok(Nanocredits::ZERO);
        }
        self.granted.minus(self.returned)?.minus(self.charged)?.minus(self.held)
    }
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Which.
    pub request_id: RequestId,
    /// Who pays.
    pub account_id: AccountId,
    /// The life that authorized it, once that is known.
    pub gateway: Option<EmitterId>,
    /// Position of its authorization, once that is there.
    pub authorized_at: Option<u64>,
    /// Where it is counted, if its key has a cap.
    #[serde(default)]
    pub key_period: Option<KeyPeriod>,
    /// What is known of it.
    pub slots: Slots,
}

/// What a key with a cap spent in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpending {
    /// In open holds, credits.
    pub held: Nanocredits,
    /// Charged, credits.
    pub charged: Nanocredits,
}

/// One life of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitter {
    /// Appended.
    pub seen: SeqSet,
    /// Named as not coming, and not come.
    pub never: SeqSet,
    /// Its life was ended by the ledger.
    pub fenced: bool,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// Whose.
    pub account_id: AccountId,
    /// SHA-256 of the secret.
    pub key_hash: KeyHash,
    /// Its first characters.
    pub key_prefix: String,
    /// A label.
    pub name: String,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which models it may ask, and how much it may spend.
    #[serde(default)]
    pub restrictions: Restrictions,
    /// It is refused.
    pub revoked: bool,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
}

/// A command that was carried out under a caller's reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Referenced {
    /// Position of its event.
    pub position: u64,
    /// What it moved, credits.
    pub amount: Nanocredits,
    /// What it left to the platform, credits.
    pub loss: Nanocredits,
}

/// A price book in force from a position on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Position of its event.
    pub position: u64,
    /// All prices.
    pub book: Arc<PriceBook>,
}

/// What became of an entry of the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Position of the event that says so.
    pub position: u64,
    /// What became of it.
    pub closed_as: ClosedAs,
    /// SHA-256 of its message's bytes.
    pub sha256: MessageHash,
    /// Who said it under which number, where that can be read.
    pub said: Option<(EmitterId, u64)>,
}

/// How an entry of the quarantine was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedAs {
    /// Its event is in the log.
    Replayed,
    /// It will never be applied.
    Dismissed,
}

impl ClosedAs {
    /// As it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::Dismissed => "dismissed",
        }
    }
}
