//! What gateways, operators and the ledger say to each other beside the stream, as JSON. None of it is a record.

mod command;
mod key_cap;
mod lease;
mod life;
mod list;

pub use command::{
    AccountOpenedReply, AccountRef, AccountReply, AddCredits, AdjustCredits, AskCheckpoint, CheckpointReply,
    CreditsAdjustedReply, CreditsReply, IssueKey, KeyIssuedReply, KeyRecord, KeyRef, KeyRevokedReply, LookUpKey,
    OpenAccount, PriceBookReply, PublishPriceBook, Refusal, RefusalCode, Reply, RevokeKey, SetMargins, SetTier,
    TierReply, command_name,
};
pub use key_cap::{KeyReserved, ReserveKey};
pub use lease::{LeaseReply, LeaseRequest, Recall, Recalled};
pub use life::{
    Appended, Beacon, Confirm, Confirmed, Heartbeat, Register, Registered, RevocationSeen, Revoked, TierChangedNotice,
};
pub use list::{AccountsReply, KeyReply, KeysReply, LARGEST_PAGE, ListAccounts, ListKeys};
