use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use schemas::message::{PriceBookReply, PublishPriceBook, SetMargins, command_name};
use schemas::price_book::DEFAULT_MARGIN_BPS;
use serde::Deserialize;

use super::actor::{Actor, reason};
use super::{PATIENCE, body};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::position::At;

/// Shows the prices in force, margins apart from the provider's prices.
pub(super) async fn show(State(edge): State<Edge>) -> Result<Json<PriceBookReply>, Error> {
    Ok(Json(edge.till().command(command_name::PRICE_BOOK, &(), PATIENCE).await?))
}

/// The next version of the prices.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Publish {
    /// In the form of `schemas/models.json`.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    catalogue: Box<serde_json::value::RawValue>,
    /// Margin in hundredths of a percent for models without one of their own; 6000 where it is not named.
    #[schemars(range(max = 100_000))]
    default_margin_bps: Option<u32>,
    /// Kept in the event.
    why: Option<String>,
}

/// Publishes a catalogue as the next version.
pub(super) async fn publish(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<At<PriceBookReply>, Error> {
    let ask: Publish = body::read(&edge, request).await?;
    let command = PublishPriceBook {
        catalogue: ask.catalogue.get().to_owned(),
        default_margin_bps: ask.default_margin_bps.unwrap_or(DEFAULT_MARGIN_BPS),
        by: actor.0,
        why: reason(ask.why)?,
    };
    let published: PriceBookReply = edge.till().command(command_name::PUBLISH_PRICE_BOOK, &command, PATIENCE).await?;
    Ok(At::written(published.position, published))
}

/// Other margins on the prices in force.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Margins {
    /// In hundredths of a percent, for models without one of their own; absent: as it is.
    #[schemars(range(max = 100_000))]
    default_margin_bps: Option<u32>,
    /// By model id, in hundredths of a percent; `null` takes a model's own margin away.
    #[serde(default)]
    models: BTreeMap<String, Option<u32>>,
    /// The version that was looked at; 409 if another one is in force by now.
    based_on: Option<u32>,
    /// Kept in the event.
    why: Option<String>,
}

/// Publishes the prices in force with other margins, as the next version.
pub(super) async fn set_margins(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    request: Request,
) -> Result<At<PriceBookReply>, Error> {
    let ask: Margins = body::read(&edge, request).await?;
    if ask.default_margin_bps.is_none() && ask.models.is_empty() {
        return Err(Invalid::missing("default_margin_bps").into());
    }
    let command = SetMargins {
        default_margin_bps: ask.default_margin_bps,
        models: ask.models,
        based_on: ask.based_on,
        by: actor.0,
        why: reason(ask.why)?,
    };
    let published: PriceBookReply = edge.till().command(command_name::SET_MARGINS, &command, PATIENCE).await?;
    Ok(At::written(published.position, published))
}
