//! Commands may be refused; each refusal has a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountsReply, KeyReserved, KeysReply, ListAccounts, ListKeys, ReserveKey};
use crate::api_key::KeyHash;
use crate::ids::{AccountId, ApiKeyId, RequestId};
use crate::key_limits::Restrictions;
use crate::merkle::Hash;
use crate::money::Nanocredits;
use crate::price_book::PriceBook;
use crate::tier::Tier;

/// Gives each command its name, as it stands in its subject, and says what is asked and answered.
macro_rules! commands {
    ($($constant:ident = $name:literal: $ask:ty => $answer:ty),* $(,)?) => {
        /// The names of the commands, as they stand in their subjects.
        pub mod command_name {
            $(
                #[doc = concat!("`", stringify!($ask), "` → `", stringify!($answer), "`.")]
                pub const $constant: &str = $name;
            )*
        }

        /// Each command by name, with the schemas of what is asked and of the reply.
        pub(crate) fn command_schemas(
            schemas: &mut schemars::SchemaGenerator,
        ) -> Vec<(&'static str, schemars::Schema, schemars::Schema)> {
            vec![$(($name, schemas.subschema_for::<$ask>(), schemas.subschema_for::<Reply<$answer>>())),*]
        }
    };
}

commands!(
    OPEN_ACCOUNT = "open-account": OpenAccount => AccountOpenedReply,
    ACCOUNT = "account": AccountRef => AccountReply,
    LIST_ACCOUNTS = "list-accounts": ListAccounts => AccountsReply,
    SET_TIER = "set-tier": SetTier => TierReply,
    ADD_CREDITS = "add-credits": AddCredits => CreditsReply,
    ADJUST_CREDITS = "adjust-credits": AdjustCredits => CreditsAdjustedReply,
    ISSUE_KEY = "issue-key": IssueKey => KeyIssuedReply,
    LIST_KEYS = "list-keys": ListKeys => KeysReply,
    RESERVE_KEY = "reserve-key": ReserveKey => KeyReserved,
    LOOK_UP_KEY = "look-up-key": LookUpKey => KeyRecord,
    REVOKE_KEY = "revoke-key": RevokeKey => KeyRevokedReply,
    PRICE_BOOK = "price-book": () => PriceBookReply,
    PUBLISH_PRICE_BOOK = "publish-price-book": PublishPriceBook => PriceBookReply,
    SET_MARGINS = "set-margins": SetMargins => PriceBookReply,
    CHECKPOINT = "checkpoint": AskCheckpoint => CheckpointReply,
    REPLAY_QUARANTINED = "replay-quarantined": ReplayQuarantined => QuarantineReply,
    DISMISS_QUARANTINED = "dismiss-quarantined": DismissQuarantined => QuarantineReply,
);

/// What comes back: the answer, or why not.
pub type Reply<T> = Result<T, Refusal>;

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people.
    pub message: String,
}

/// The names of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The command is not of its form.
    Malformed,
    /// No command has this name.
    UnknownCommand,
    /// No account has this id.
    UnknownAccount,
    /// No key has this hash or id.
    UnknownKey,
    /// The account made no request with this id.
    UnknownRequest,
    /// The reference was used for something else before.
    ReferenceReused,
    /// An amount that makes no sense here.
    BadAmount,
    /// The account has not as much to take.
    InsufficientCredits,
    /// The account has as much, and gateways hold it and have not given it up yet: try again.
    CreditsLeased,
    /// The life is not registered, is being fenced, or is over.
    NotRegistered,
    /// The catalogue is no price book.
    BadPriceBook,
    /// The price book has no such model.
    UnknownModel,
    /// The quarantine has no such entry.
    UnknownEntry,
    /// The entry of the quarantine was replayed or dismissed before.
    EntryClosed,
    /// The quarantined message still cannot be applied.
    StillRefused,
    /// Not now: try again.
    Unavailable,
}

/// Opens an account and its sandbox account, which gets test credits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OpenAccount {
    /// Plan of both.
    pub tier: Tier,
    /// The same one opens no second account, and answers with the first.
    pub reference: Option<String>,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The accounts that are open now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountOpenedReply {
    /// Spends money.
    pub account_id: AccountId,
    /// Spends test credits.
    pub sandbox_account_id: AccountId,
    /// Plan of both.
    pub tier: Tier,
    /// The ledger's position of the event.
    pub position: u64,
}

/// Which account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AccountRef {
    /// By its id.
    pub account_id: AccountId,
}

/// An account as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountReply {
    /// Which.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// The other half: sandbox or live.
    pub counterpart: AccountId,
    /// Plan.
    pub tier: Tier,
    /// Credits.
    pub credits: CreditsReply,
}

/// Changes an account's plan.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetTier {
    /// Whose.
    pub account_id: AccountId,
    /// The new one.
    pub tier: Tier,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The plan in force now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierReply {
    /// Whose.
    pub account_id: AccountId,
    /// In force.
    pub tier: Tier,
    /// The ledger's position.
    pub position: u64,
}

/// Adds credits that were bought or given.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AddCredits {
    /// Whose.
    pub account_id: AccountId,
    /// More than zero, credits.
    pub amount: Nanocredits,
    /// The same one adds nothing twice.
    pub reference: String,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Gives (more than zero) or takes (less than zero) credits as a correction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdjustCredits {
    /// Whose.
    pub account_id: AccountId,
    /// Credits; zero only where there is a loss.
    pub amount: Nanocredits,
    /// What the platform bears in any case, credits, at least zero.
    #[serde(default)]
    pub loss: Nanocredits,
    /// Takes what the account has, and leaves the rest to the platform. Without it, more than there is is refused.
    #[serde(default)]
    pub take_what_there_is: bool,
    /// The request that is corrected, one of the account's.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// The same one adjusts nothing twice.
    pub reference: String,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What an adjustment came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditsAdjustedReply {
    /// The account's credits now.
    #[serde(flatten)]
    pub credits: CreditsReply,
    /// Given, or taken where it is less than zero, credits.
    pub amount: Nanocredits,
    /// Left to the platform, credits.
    pub loss: Nanocredits,
}

/// An account's credits now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditsReply {
    /// Whose.
    pub account_id: AccountId,
    /// Posted: bought and not charged.
    pub balance: Nanocredits,
    /// In open holds.
    pub held: Nanocredits,
    /// Can still be spent.
    pub available: Nanocredits,
    /// The ledger's position of the event; of the first one, where this was a repeat.
    pub position: u64,
    /// Nothing was done, since this reference had been carried out before.
    pub repeated: bool,
}

/// Makes a key. The secret is made by who asks, so that the ledger never sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssueKey {
    /// Whose; with a `lyr_test_` secret, the sandbox account.
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
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The key works now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyIssuedReply {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// Whose.
    pub account_id: AccountId,
    /// The ledger's position.
    pub position: u64,
}

/// Whose key is this?
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LookUpKey {
    /// SHA-256 of the secret.
    pub key_hash: KeyHash,
}

/// What a gateway must know of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRecord {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// Whose.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// The account's plan.
    pub tier: Tier,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Which models it may ask, and how much it may spend.
    #[serde(default)]
    pub restrictions: Restrictions,
    /// It is refused.
    pub revoked: bool,
    /// The ledger's position of these facts.
    pub position: u64,
}

/// Which key.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyRef {
    /// By its id.
    Id(ApiKeyId),
    /// By its secret's hash.
    Hash(KeyHash),
}

/// Makes a key useless, on every gateway, before this returns.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RevokeKey {
    /// Which.
    pub key: KeyRef,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The key is refused everywhere now.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRevokedReply {
    /// Its id.
    pub api_key_id: ApiKeyId,
    /// The ledger's position.
    pub position: u64,
}

/// Puts prices in force: the ledger gives them the next version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PublishPriceBook {
    /// A catalogue in the form of `schemas/models.json`.
    pub catalogue: String,
    /// Margin in hundredths of a percent for models without one of their own.
    pub default_margin_bps: u32,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Puts the prices in force with other margins: the next version is this one's catalogue.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetMargins {
    /// In hundredths of a percent, for models without one of their own; absent: as it is.
    pub default_margin_bps: Option<u32>,
    /// By model id, in hundredths of a percent; `None` takes a model's own margin away. Models that are not named keep theirs.
    pub models: BTreeMap<String, Option<u32>>,
    /// The version that the caller has looked at; refused if another one is in force by now.
    pub based_on: Option<u32>,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The prices in force.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PriceBookReply {
    /// All of them.
    pub book: Arc<PriceBook>,
    /// The ledger's position of their event.
    pub position: u64,
}

/// Has the log signed, if no checkpoint covers the position yet. It is no event: nothing of the books moves.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AskCheckpoint {
    /// Must be covered; the last position where it is absent.
    pub position: Option<u64>,
}

/// The newest checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointReply {
    /// Positions that it covers.
    pub size: u64,
    /// Root of the log's tree of that size.
    pub root: Hash,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
}

/// Applies a message of the quarantine as it is, as if it came from the stream now.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReplayQuarantined {
    /// Which entry.
    pub entry: u64,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// Gives a message of the quarantine up for good.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DismissQuarantined {
    /// Which entry.
    pub entry: u64,
    /// Who does it.
    pub by: String,
    /// Why.
    pub why: String,
}

/// The entry was dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineReply {
    /// Which entry.
    pub entry: u64,
    /// The ledger's position of the event that says so.
    pub position: u64,
    /// The ledger's position of the event that was replayed.
    pub event_position: Option<u64>,
}
