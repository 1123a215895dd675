//! The pages.

pub(super) mod accounts;
pub(super) mod credits;
pub(super) mod keys;
pub(super) mod operations;
pub(super) mod overview;
pub(super) mod request;
pub(super) mod requests;

use axum::Extension;
use axum::response::Response;

use super::answer::{Refusal, see_other};
use super::layout::Place;
use super::visitor::Visitor;

/// `GET /console`: where this visitor begins.
pub(super) async fn home(Extension(visitor): Extension<Visitor>) -> Response {
    see_other(&visitor.caller.map_or(Place::Accounts, |caller| Place::Overview(caller.account_id)).path())
}

/// No page, or not by this method.
pub(super) async fn nowhere() -> Refusal {
    Refusal::NotFound
}
