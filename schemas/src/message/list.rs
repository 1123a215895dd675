//! What operators look through, page by page. Pages are told by the last id of the one before, so that nothing is shown twice
//! or left out while accounts and keys are added.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AccountReply;
use crate::ids::{AccountId, ApiKeyId};
use crate::key_limits::Restrictions;

/// The largest page.
pub const LARGEST_PAGE: u32 = 100;

/// All accounts, in the order in which they were opened.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListAccounts {
    /// The last one of the page before.
    pub after: Option<AccountId>,
    /// As many as are wanted, [`LARGEST_PAGE`] at most.
    pub limit: u32,
}

/// A page of accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountsReply {
    /// As they are now.
    pub accounts: Vec<AccountReply>,
    /// There are more after these.
    pub more: bool,
}

/// All keys of an account, in the order in which they were issued; revoked ones are among them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ListKeys {
    /// Whose.
    pub account_id: AccountId,
    /// The last one of the page before.
    pub after: Option<ApiKeyId>,
    /// As many as are wanted, [`LARGEST_PAGE`] at most.
    pub limit: u32,
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeysReply {
    /// As they are now.
    pub keys: Vec<KeyReply>,
    /// There are more after these.
    pub more: bool,
}

/// A key as its owner may see it: nothing of its secret but the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyReply {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// Whose.
    pub account_id: AccountId,
    /// The secret's first characters.
    pub key_prefix: String,
    /// A label.
    pub name: String,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which models it may ask, and how much it may spend.
    pub restrictions: Restrictions,
    /// It is refused.
    pub revoked: bool,
    /// When it was issued.
    pub created_at: DateTime<Utc>,
}
