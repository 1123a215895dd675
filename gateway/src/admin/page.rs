use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use schemas::message::LARGEST_PAGE;
use serde::{Deserialize, Serialize};

use crate::error::Invalid;

/// Which page of a list.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The id of the last one of the page before.
    after: Option<uuid::Uuid>,
    /// How many: 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Taken as everywhere. The ledger itself answers, so everything that it has answered before is in the list already.
    #[allow(dead_code, reason = "holds whatever is asked")]
    min_position: Option<u64>,
}

/// A page, in the shape of OpenAI's lists.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Page<T> {
    object: &'static str,
    data: Vec<T>,
    has_more: bool,
    /// To be sent as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What to ask for: after which id, and how many.
pub(super) fn wanted<I: From<uuid::Uuid>>(
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<(Option<I>, u32), Invalid> {
    const USUAL: u32 = 20;
    let invalid = |message: String| Invalid { code: Some("invalid_value"), param: None, message };
    let Query(wanted) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let limit = wanted.limit.unwrap_or(USUAL);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("Invalid 'limit': expected 1 to {LARGEST_PAGE}, but got {limit} instead.");
        return Err(Invalid::new("invalid_value", "limit", message));
    }
    Ok((wanted.after.map(I::from), limit))
}

impl<T> Page<T> {
    /// `id` tells an entry's own.
    pub(super) fn new(data: Vec<T>, has_more: bool, id: impl Fn(&T) -> String) -> Self {
        let next = data.last().filter(|_| has_more).map(id);
        Self { object: "list", data, has_more, next }
    }
}
