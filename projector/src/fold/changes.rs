use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use uuid::Uuid;

use super::{Entry, Request};
use crate::rollup::Rollups;

/// All that a batch of events changes, a table's rows each.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Accounts that were opened.
    pub opened: Vec<NewAccount>,
    /// What accounts change by, the opened ones among them.
    pub accounts: BTreeMap<Uuid, AccountChange>,
    /// Top-ups and adjustments.
    pub transactions: Vec<Transaction>,
    /// Postings, and openings of accounts.
    pub journal: Vec<Entry>,
    /// Keys that were issued.
    pub issued: Vec<NewKey>,
    /// What keys change by, the issued ones among them.
    pub keys: BTreeMap<Uuid, KeyChange>,
    /// Requests as they are now.
    pub requests: Vec<Request>,
    /// What the sums over requests change by.
    pub rollups: Rollups,
    /// Lives that ended, with the position.
    pub fenced: Vec<(Uuid, i64)>,
    /// Prices that were published, with the position.
    pub prices: Vec<(Arc<PriceBook>, i64)>,
}

/// An account that was opened.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewAccount {
    pub account_id: Uuid,
    pub tier: &'static str,
    pub livemode: bool,
    pub position: i64,
    pub updated_at: DateTime<Utc>,
}

/// What an account changes by.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct AccountChange {
    pub tier: Option<&'static str>,
    pub bought: Nanocredits,
    pub charged: Nanocredits,
    pub held: Nanocredits,
    pub lost: Nanocredits,
    /// Of the last event that changed it, and when that was recorded.
    pub position: i64,
    pub updated_at: DateTime<Utc>,
}

/// Credits that were added or adjusted.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Transaction {
    pub position: i64,
    pub account_id: Uuid,
    pub request_id: Option<Uuid>,
    pub kind: TransactionKind,
    pub amount: Nanocredits,
    pub reference: String,
    pub made_by: String,
    pub reason: String,
    pub livemode: bool,
    pub created_at: DateTime<Utc>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug)]
pub enum TransactionKind {
    /// `CreditsAdded`.
    TopUp,
    /// `CreditsAdjusted`.
    Adjustment,
}

impl TransactionKind {
    /// As it is written in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Adjustment => "adjustment",
        }
    }
}

/// A key that was issued.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct NewKey {
    pub id: Uuid,
    pub account_id: Uuid,
    pub key_hash: String,
    pub key_prefix: String,
    pub name: String,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What a key changes by.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct KeyChange {
    pub revoked: bool,
    pub last_used_at: Option<DateTime<Utc>>,
}
