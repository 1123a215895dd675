//! What gateways, operators and the ledger say to each other beside the stream, as JSON. None of it is a record.

mod command;
mod key_cap;
mod lease;
mod life;
mod list;

pub(crate) use command::command_schemas;
pub use command::{
    AccountOpenedReply, AccountRef, AccountReply, AddCredits, AdjustCredits, AskCheckpoint, CheckpointReply,
    CreditsAdjustedReply, CreditsReply, DismissQuarantined, IssueKey, KeyIssuedReply, KeyRecord, KeyRef,
    KeyRevokedReply, LookUpKey, OpenAccount, PriceBookReply, PublishPriceBook, QuarantineReply, Refusal, RefusalCode,
    ReplayQuarantined, Reply, RevokeKey, SetMargins, SetTier, TierReply, command_name,
};
pub use key_cap::{KeyReserved, ReserveKey};
pub use lease::{LeaseReply, LeaseRequest, Recall, Recalled};
pub use life::{
    Appended, Beacon, Confirm, Confirmed, Heartbeat, Register, Registered, RevocationSeen, Revoked, TierChangedNotice,
};
pub use list::{AccountsReply, KeyReply, KeysReply, LARGEST_PAGE, ListAccounts, ListKeys};
