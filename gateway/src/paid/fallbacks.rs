//! Models that the client lets stand in where its first one fails: `models` (OpenRouter's way) or
//! `providerOptions.gateway.models` (Vercel's).
//!
//! A request is authorized once, so it is authorized for the dearest of them: whichever answers, its charge is within the hold,
//! and the rest is free with the settlement. We fall back ourselves; the provider is not told of the list.

use schemas::money::Nanocredits;
use schemas::price_book::{Model, PriceBook};
use schemas::rate::Bounds;

use super::ask::Ask;
use super::bound;
use super::route::Route;
use super::sold::Sold;
use crate::error::Error;
use crate::models;
use crate::till::Caller;

/// The models, in the client's order, each once.
///
/// # Errors
/// When one is not known, cannot take the request, or may not be asked by this key.
pub(super) fn models<'b>(
    book: &'b PriceBook,
    ask: &Ask<'_>,
    first: &Model,
    caller: &Caller,
    route: &dyn Route,
) -> Result<Vec<&'b Model>, Error> {
    let mut others: Vec<&Model> = Vec::new();
    for name in &ask.fallbacks {
        let model = models::for_route(book, name, route).map_err(|error| route.unknown_model(error))?;
        super::check_fit(ask, model, route)?;
        if !caller.restrictions.allow(&model.id) {
            return Err(Error::ModelNotAllowed { model: model.id.clone() });
        }
        if model.id != first.id && others.iter().all(|other| other.id != model.id) {
            others.push(model);
        }
    }
    Ok(others)
}

/// The most that the request can use, whichever of the models answers, and the most that this costs with any of them: what
/// the event of its authorization can be recomputed by.
pub(super) fn dearest(book: &PriceBook, first: (&Sold, &Model), others: &[(Sold, &Model)]) -> (Nanocredits, Bounds) {
    let (sold, model) = first;
    let bounds = others.iter().fold(sold.bounds, |most, (Sold { bounds, .. }, _)| Bounds {
        input_tokens: most.input_tokens.max(bounds.input_tokens),
        output_tokens: most.output_tokens.max(bounds.output_tokens),
        images: most.images.max(bounds.images),
        searches: most.searches.max(bounds.searches),
    });
    let models = std::iter::once(model).chain(others.iter().map(|(_, model)| *model));
    let hold = models.map(|model| bound::hold(book, model, &bounds)).max();
    (hold.unwrap_or(Nanocredits::MAX), bounds)
}
