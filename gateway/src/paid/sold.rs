use schemas::money::Nanocredits;
use schemas::price_book::{Model, PriceBook};
use schemas::rate::Bounds;

use super::ask::{Ask, Limit};
use super::bound;

/// A model as it is sold for one request: the one that is asked for, or one that the client lets stand in for it.
#[derive(Clone, Debug)]
pub(super) struct Sold {
    /// Id in the book: the model that is asked and charged.
    pub(super) model: String,
    /// Who made it.
    pub(super) provider: String,
    /// The most that the request can use with it.
    pub(super) bounds: Bounds,
    /// Web searches that an answer of this model includes.
    pub(super) searches: u64,
    /// Whether images that are made are charged one by one.
    pub(super) images_charged: bool,
    /// Whether tokens are charged.
    pub(super) by_token: bool,
    /// The output limit that was filled in for a client that names none.
    pub(super) filled: Option<u64>,
}

impl Sold {
    /// `credits` is what the account can spend, and the most that a filled-in limit may cost; absent where none is filled in.
    pub(super) fn new(
        book: &PriceBook,
        ask: &Ask<'_>,
        model: &Model,
        credits: Option<(Nanocredits, Nanocredits)>,
    ) -> Self {
        let filled = credits.map(|(available, most)| bound::fill(book, model, ask, available, most));
        let limit = match ask.writes.limit {
            Limit::None => 0,
            Limit::Named(limit) => limit,
            Limit::Unnamed => filled.unwrap_or(1),
        };
        Self {
            model: model.id.clone(),
            provider: model.provider.clone(),
            bounds: bound::with_output(bound::without_output(book, ask, model), ask, limit),
            searches: bound::searches(model),
            images_charged: model.per_image.is_some(),
            by_token: model.prices.input.is_some(),
            filled,
        }
    }
}
