use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::{Extension, Json};
use schemas::ids::AccountId;
use schemas::message::{
    AccountOpenedReply, AccountRef, AccountReply, AccountsReply, ListAccounts, OpenAccount, SetTier, TierReply,
    command_name,
};
use schemas::tier::Tier;
use serde::Deserialize;

use super::actor::{Actor, reason, text};
use super::page::{Page, Wanted, wanted};
use super::{PATIENCE, body};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::position::At;

/// References are kept for ever, and looked up.
pub(super) const LONGEST_REFERENCE: usize = 200;

/// A new account.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    /// Plan of the account and of its sandbox.
    tier: Tier,
    /// The same one opens no second account, and answers with the first.
    reference: Option<String>,
    /// Kept in the event.
    why: Option<String>,
}

/// Opens an account and its sandbox.
pub(super) async fn open(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<At<AccountOpenedReply>, Error> {
    let ask: Open = body::read(&edge, request).await?;
    let reference = ask.reference.map(|reference| text(reference, "reference", LONGEST_REFERENCE)).transpose()?;
    let command = OpenAccount { tier: ask.tier, reference, by: actor.0, why: reason(ask.why)? };
    let opened: AccountOpenedReply = edge.till().command(command_name::OPEN_ACCOUNT, &command, PATIENCE).await?;
    Ok(At::written(opened.position, opened))
}

/// Lists accounts in the order in which they were opened.
pub(super) async fn list(
    State(edge): State<Edge>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page<AccountReply>>, Error> {
    let (after, limit) = wanted(query)?;
    let command = ListAccounts { after, limit };
    let page: AccountsReply = edge.till().command(command_name::LIST_ACCOUNTS, &command, PATIENCE).await?;
    Ok(Json(Page::new(page.accounts, page.more, |account| account.account_id.to_string())))
}

/// Shows an account as it is now.
pub(super) async fn show(
    State(edge): State<Edge>,
    Path(account_id): Path<String>,
) -> Result<Json<AccountReply>, Error> {
    let command = AccountRef { account_id: account(&account_id)? };
    Ok(Json(edge.till().command(command_name::ACCOUNT, &command, PATIENCE).await?))
}

/// Another plan.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeTier {
    /// The new one.
    tier: Tier,
    /// Kept in the event.
    why: Option<String>,
}

/// Changes an account's plan.
pub(super) async fn set_tier(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<At<TierReply>, Error> {
    let account_id = account(&account_id)?;
    let ask: ChangeTier = body::read(&edge, request).await?;
    let command = SetTier { account_id, tier: ask.tier, by: actor.0, why: reason(ask.why)? };
    let changed: TierReply = edge.till().command(command_name::SET_TIER, &command, PATIENCE).await?;
    Ok(At::written(changed.position, changed))
}

/// The account that a path names.
pub(super) fn account(text: &str) -> Result<AccountId, Invalid> {
    text.parse().map_err(|_| Invalid::new("invalid_value", "account_id", "Invalid 'account_id': expected a UUID."))
}
