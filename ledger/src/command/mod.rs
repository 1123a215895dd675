//! Commands: each may be refused, by name. They are decided by the writer, within a batch.

mod add_credits;
mod adjust_credits;
mod dismiss_quarantined;
mod grant_lease;
mod issue_key;
mod list;
mod look_up_key;
mod open_account;
mod publish_price_book;
mod quarantined;
mod register_life;
mod replay_quarantined;
mod reserve_key;
mod revoke_key;
mod set_margins;
mod set_tier;
mod show_account;

pub use dismiss_quarantined::DismissEntry;
pub use grant_lease::GrantLease;
pub use list::{list_accounts, list_keys};
pub use look_up_key::look_up_key;
pub use publish_price_book::{FirstPriceBook, current_prices};
pub use register_life::RegisterLife;
pub use replay_quarantined::ReplayEntry;
pub use revoke_key::revoked;
use schemas::books::{Account, Rejected};
use schemas::ids::AccountId;
use schemas::message::{CreditsReply, Refusal, RefusalCode};
use schemas::money::MoneyError;

use crate::append::Batch;

fn refusal(code: RefusalCode, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into() }
}

/// A row that cannot be what the ledger wrote.
fn unreadable(error: impl std::fmt::Display) -> Refusal {
    refusal(RefusalCode::Unavailable, format!("the tables cannot be read: {error}"))
}

fn known<'b>(batch: &'b Batch<'_>, account_id: AccountId) -> Result<&'b Account, Refusal> {
    let account = batch.state.books.accounts.get(&account_id);
    account.ok_or_else(|| refusal(RefusalCode::UnknownAccount, format!("there is no account {account_id}")))
}

/// The books refused what a command had checked: the rule is named, the caller may try something else.
fn contradicted(rejected: Rejected) -> Refusal {
    let code = match rejected {
        Rejected::InsufficientCredits | Rejected::InsufficientLease => RefusalCode::InsufficientCredits,
        Rejected::BadAmount => RefusalCode::BadAmount,
        _ => RefusalCode::Unavailable,
    };
    refusal(code, rejected.to_string())
}

fn database_away(error: sqlx::Error) -> Refusal {
    refusal(RefusalCode::Unavailable, format!("the database is away: {error}"))
}

fn out_of_range(_: MoneyError) -> Refusal {
    refusal(RefusalCode::BadAmount, "the amount is out of range")
}

fn credits_of(account: &Account, position: u64, repeated: bool) -> Result<CreditsReply, Refusal> {
    Ok(CreditsReply {
        account_id: account.account_id,
        balance: account.balance().map_err(out_of_range)?,
        held: account.held,
        available: account.available().map_err(out_of_range)?,
        position,
        repeated,
    })
}
