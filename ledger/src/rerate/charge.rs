//! What one request would have cost under other prices. Pure.

use std::collections::BTreeMap;

use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use schemas::rate::{Bounds, RateError, Usage, ceiling, rate};

use crate::settled::Settled;

/// A request whose usage is in the log.
#[derive(Clone, Debug)]
pub(super) struct Used {
    /// The model that was asked and is charged.
    pub(super) model: String,
    /// What it used.
    pub(super) usage: Usage,
    /// What it cost.
    pub(super) settled: Settled,
    /// What its hold was computed from, if its authorization is there.
    pub(super) authorized: Option<Authorized>,
}

/// What a hold was computed from.
#[derive(Clone, Debug)]
pub(super) struct Authorized {
    /// Those that might have answered.
    pub(super) models: Vec<String>,
    pub(super) bounds: Bounds,
    pub(super) price_version: u32,
}

/// What the account would have paid; `None` if the prices have no such model.
///
/// No request costs more than its hold, and its hold would have been another one: it moves as the ceiling of the same
/// bounds moves from the one book to the other.
pub(super) fn under(
    prices: &PriceBook,
    published: &BTreeMap<u32, PriceBook>,
    used: &Used,
) -> Result<Option<Nanocredits>, RateError> {
    let worth = match rate(prices, &used.model, &used.usage) {
        Err(RateError::UnknownModel) => return Ok(None),
        rating => rating?.charge,
    };
    let limit = match (used.settled.hold, &used.authorized) {
        (Some(hold), Some(authorized)) => Some(moved(hold, prices, published, authorized)?),
        (hold, _) => hold,
    };
    Ok(Some(used.settled.would_pay(worth, limit)))
}

fn moved(
    hold: Nanocredits,
    prices: &PriceBook,
    published: &BTreeMap<u32, PriceBook>,
    authorized: &Authorized,
) -> Result<Nanocredits, RateError> {
    let Authorized { models, bounds, price_version } = authorized;
    let Some(own) = published.get(price_version) else { return Ok(hold) };
    let dearest = |book| {
        let ceilings = models.iter().map(|model| ceiling(book, model, bounds));
        ceilings.reduce(|most, other| Ok(most?.max(other?))).unwrap_or(Err(RateError::UnknownModel))
    };
    let (before, now) = match (dearest(own), dearest(prices)) {
        (Err(RateError::UnknownModel), _) | (_, Err(RateError::UnknownModel)) => return Ok(hold),
        (before, now) => (before?, now?),
    };
    Ok(hold.minus(before)?.plus(now)?.max(Nanocredits::ZERO))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::price_book::FIRST_CATALOGUE;

    use super::*;
    use crate::settled::Row;

    const MODEL: &str = "anthropic/claude-sonnet-4.5";

    fn book(version: u32, margin_bps: u32) -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, version, margin_bps).unwrap()
    }

    /// A request that was authorized for so many tokens and charged as the ledger does.
    fn used(own: &PriceBook, bounds: Bounds, usage: Usage) -> Used {
        let hold = ceiling(own, MODEL, &bounds).unwrap();
        let worth = rate(own, MODEL, &usage).unwrap().charge;
        let (hold, worth) = (Some(hold.get()), Some(worth.get()));
        let row = Row { hold, worth, charged: worth.min(hold), ..Row::default() };
        let authorized = Authorized { models: vec![MODEL.to_owned()], bounds, price_version: own.version };
        let settled = Settled::of(&row).unwrap().unwrap();
        Used { model: MODEL.to_owned(), usage, settled, authorized: Some(authorized) }
    }

    fn tokens(output: u64) -> (Bounds, Usage) {
        (Bounds { output_tokens: output, ..Bounds::default() }, Usage { output_tokens: output, ..Usage::default() })
    }

    #[test]
    fn higher_prices_are_not_capped_by_a_hold_at_lower_ones() {
        let own = book(1, 0);
        let (bounds, usage) = tokens(1_000_000);
        let used = used(&own, bounds, usage);
        assert_eq!(used.settled.paid.to_string(), "1500");
        let published = BTreeMap::from([(1, own)]);
        assert_eq!(under(&book(2, 10_000), &published, &used).unwrap().unwrap().to_string(), "3000");
    }

    #[test]
    fn what_the_provider_billed_beyond_the_bounds_stays_with_the_platform() {
        let own = book(1, 0);
        let (bounds, _) = tokens(500_000);
        let used = used(&own, bounds, tokens(1_000_000).1);
        let published = BTreeMap::from([(1, own)]);
        assert_eq!(used.settled.paid.to_string(), "750");
        assert_eq!(under(&book(2, 10_000), &published, &used).unwrap().unwrap().to_string(), "1500");
    }

    #[test]
    fn a_model_without_a_price_has_no_charge_rather_than_none() {
        let own = book(1, 0);
        let (bounds, usage) = tokens(5);
        let used = used(&own, bounds, usage);
        let mut without = own.clone();
        without.models.remove(MODEL);
        assert_eq!(under(&without, &BTreeMap::from([(1, own)]), &used).unwrap(), None);
    }

    proptest! {
        #[test]
        fn under_the_same_prices_it_costs_the_same(input in 0_u64..300_000, output in 0_u64..9_000, bound in 0_u64..300_000, margin in 0_u32..9_000) {
            let own = book(1, margin);
            let bounds = Bounds { input_tokens: bound, output_tokens: bound / 30, ..Bounds::default() };
            let used = used(&own, bounds, Usage { input_tokens: input, output_tokens: output, ..Usage::default() });
            let published = BTreeMap::from([(1, own)]);
            prop_assert_eq!(under(&book(2, margin), &published, &used).unwrap(), Some(used.settled.paid));
        }
    }
}
