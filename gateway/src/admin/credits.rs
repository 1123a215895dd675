use axum::Extension;
use axum::extract::{Path, Request, State};
use schemas::ids::RequestId;
use schemas::message::{AddCredits, AdjustCredits, CreditsAdjustedReply, CreditsReply, command_name};
use schemas::money::Nanocredits;
use serde::Deserialize;

use super::accounts::{LONGEST_REFERENCE, account};
use super::actor::{Actor, reason, text};
use super::{PATIENCE, body};
use crate::edge::Edge;
use crate::error::Error;
use crate::position::At;

/// Credits that are added.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Movement {
    /// How many: a decimal number in a string, more than zero.
    credits: Nanocredits,
    /// A payment's id: the same one adds nothing twice.
    reference: String,
    /// Kept in the event.
    why: Option<String>,
}

/// Adds credits that were bought or given.
pub(super) async fn add(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<At<CreditsReply>, Error> {
    let account_id = account(&account_id)?;
    let ask: Movement = body::read(&edge, request).await?;
    let reference = text(ask.reference, "reference", LONGEST_REFERENCE)?;
    let command = AddCredits { account_id, amount: ask.credits, reference, by: actor.0, why: reason(ask.why)? };
    let added: CreditsReply = edge.till().command(command_name::ADD_CREDITS, &command, PATIENCE).await?;
    Ok(At::written(added.position, added))
}

/// A correction.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Adjustment {
    /// More than zero gives, less than zero takes; zero only where there is a loss.
    credits: Nanocredits,
    /// What the platform bears in any case, at least zero.
    #[serde(default)]
    loss: Nanocredits,
    /// Takes what the account has, and leaves the rest to the platform. Without it, more than there is is refused.
    #[serde(default)]
    take_what_there_is: bool,
    /// The request that is corrected, one of the account's.
    request_id: Option<RequestId>,
    /// A ticket's id: the same one adjusts nothing twice.
    reference: String,
    /// Kept in the event.
    why: Option<String>,
}

/// Gives or takes credits as a correction.
pub(super) async fn adjust(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<At<CreditsAdjustedReply>, Error> {
    let account_id = account(&account_id)?;
    let ask: Adjustment = body::read(&edge, request).await?;
    let reference = text(ask.reference, "reference", LONGEST_REFERENCE)?;
    let command = AdjustCredits {
        account_id,
        amount: ask.credits,
        loss: ask.loss,
        take_what_there_is: ask.take_what_there_is,
        request_id: ask.request_id,
        reference,
        by: actor.0,
        why: reason(ask.why)?,
    };
    let adjusted: CreditsAdjustedReply = edge.till().command(command_name::ADJUST_CREDITS, &command, PATIENCE).await?;
    Ok(At::written(adjusted.credits.position, adjusted))
}
