use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use schemas::message::{AddCredits, AdjustCredits, CreditsReply, command_name};
use schemas::money::Nanocredits;
use serde::Deserialize;

use super::accounts::{LONGEST_REFERENCE, account};
use super::actor::{Actor, reason, text};
use super::{PATIENCE, body};
use crate::edge::Edge;
use crate::error::Error;

/// Credits that are given or taken.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Movement {
    /// How many: a decimal number in a string. Adjustments may be below zero.
    credits: Nanocredits,
    /// A payment's or a ticket's id: the same one moves nothing twice.
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
) -> Result<Json<CreditsReply>, Error> {
    let account_id = account(&account_id)?;
    let ask: Movement = body::read(request).await?;
    let reference = text(ask.reference, "reference", LONGEST_REFERENCE)?;
    let command = AddCredits { account_id, amount: ask.credits, reference, by: actor.0, why: reason(ask.why)? };
    Ok(Json(edge.till().command(command_name::ADD_CREDITS, &command, PATIENCE).await?))
}

/// Gives or takes credits as a correction.
pub(super) async fn adjust(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<Json<CreditsReply>, Error> {
    let account_id = account(&account_id)?;
    let ask: Movement = body::read(request).await?;
    let reference = text(ask.reference, "reference", LONGEST_REFERENCE)?;
    let command = AdjustCredits { account_id, amount: ask.credits, reference, by: actor.0, why: reason(ask.why)? };
    Ok(Json(edge.till().command(command_name::ADJUST_CREDITS, &command, PATIENCE).await?))
}
