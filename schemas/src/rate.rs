//! Charge = provider's cost × (1 + margin), computed exactly and rounded once, half up, to the nanocredit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{MoneyError, Nanocredits, PerMillion, PerThousand, Picodollars};
use crate::price_book::{Model, PriceBook, Prices};

/// What a request used. `cached` and `cache_write` are parts of `input`; `reasoning` is a part of `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens read, cached ones among them.
    pub input_tokens: u64,
    /// Input tokens found in the provider's cache.
    pub cached_tokens: u64,
    /// Input tokens put into the provider's cache.
    pub cache_write_tokens: u64,
    /// Tokens written, reasoning among them.
    pub output_tokens: u64,
    /// Output tokens that the model thought with.
    pub reasoning_tokens: u64,
    /// Images made.
    pub images: u64,
    /// Web searches that the provider bills for.
    pub searches: u64,
}

impl Usage {
    /// The same with every part at most its whole, however the provider counted.
    pub fn consistent(mut self) -> Self {
        self.cached_tokens = self.cached_tokens.min(self.input_tokens);
        self.cache_write_tokens = self.cache_write_tokens.min(self.input_tokens - self.cached_tokens);
        self.reasoning_tokens = self.reasoning_tokens.min(self.output_tokens);
        self
    }
}

/// The most that a request can use; what its hold was computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bounds {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written, over all choices.
    pub output_tokens: u64,
    /// Images made.
    pub images: u64,
    /// Web searches.
    pub searches: u64,
}

/// How a charge came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// The provider's cost, US$.
    pub cost_usd: Picodollars,
    /// What the customer pays, credits.
    pub charge: Nanocredits,
    /// The parts of the cost, and the rule that was applied.
    pub breakdown: Breakdown,
}

/// The parts of the provider's cost, US$; they add up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breakdown {
    /// Input tokens that were neither read from nor written to a cache.
    pub input_usd: Picodollars,
    /// Tokens found in the cache.
    pub cached_usd: Picodollars,
    /// Tokens put into the cache.
    pub cache_write_usd: Picodollars,
    /// Output tokens.
    pub output_usd: Picodollars,
    /// Images.
    pub images_usd: Picodollars,
    /// Web searches.
    pub searches_usd: Picodollars,
    /// The price tier that applied, by its lower end; 0 below all tiers.
    pub tier_min_input_tokens: u64,
    /// Our share on top, in hundredths of a percent.
    pub margin_bps: u32,
}

/// Why a usage cannot be rated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The book has no such model.
    #[error("the price book has no such model")]
    UnknownModel,
    /// Beyond what 64 bits hold.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// Cached and written tokens are more than the input.
    #[error("cached and cache-write tokens are more than the input tokens")]
    Inconsistent,
}

/// What a usage of a model cost.
pub fn rate(book: &PriceBook, model_id: &str, usage: &Usage) -> Result<Rating, RateError> {
    let model = book.models.get(model_id).ok_or(RateError::UnknownModel)?;
    let margin_bps = book.margin_bps(model);
    let plain_input = usage
        .input_tokens
        .checked_sub(usage.cached_tokens)
        .and_then(|rest| rest.checked_sub(usage.cache_write_tokens))
        .ok_or(RateError::Inconsistent)?;
    let (tier_min_input_tokens, prices) = prices_at(model, usage.input_tokens);
    let input = price(prices.input);
    let breakdown = Breakdown {
        input_usd: product(plain_input, input)?,
        cached_usd: product(usage.cached_tokens, prices.cache_read.map_or(input, PerMillion::get))?,
        cache_write_usd: product(usage.cache_write_tokens, prices.cache_write.map_or(input, PerMillion::get))?,
        output_usd: product(usage.output_tokens, price(prices.output))?,
        images_usd: product(usage.images, model.per_image.map_or(0, Picodollars::get))?,
        searches_usd: product(usage.searches, model.web_search_per_1k.map_or(0, PerThousand::get))?,
        tier_min_input_tokens,
        margin_bps,
    };
    let cost_usd = breakdown.total()?;
    Ok(Rating { cost_usd, charge: charge(cost_usd, margin_bps)?, breakdown })
}

/// The most that a request within its bounds can be charged: at the highest price tier and cache price that can apply.
pub fn ceiling(book: &PriceBook, model_id: &str, bounds: &Bounds) -> Result<Nanocredits, RateError> {
    let model = book.models.get(model_id).ok_or(RateError::UnknownModel)?;
    let reachable = model.tiers.iter().filter(|tier| tier.min_input_tokens <= bounds.input_tokens);
    let tables = || std::iter::once(&model.prices).chain(reachable.clone().map(|tier| &tier.prices));
    let input = tables().flat_map(|p| [p.input, p.cache_read, p.cache_write]).map(price).max().unwrap_or(0);
    let output = tables().map(|p| price(p.output)).max().unwrap_or(0);
    let parts = [
        product(bounds.input_tokens, input)?,
        product(bounds.output_tokens, output)?,
        product(bounds.images, model.per_image.map_or(0, Picodollars::get))?,
        product(bounds.searches, model.web_search_per_1k.map_or(0, PerThousand::get))?,
    ];
    charge(sum(&parts)?, book.margin_bps(model)).map_err(RateError::from)
}

/// Cost with the margin on top, in credits.
pub fn charge(cost: Picodollars, margin_bps: u32) -> Result<Nanocredits, MoneyError> {
    // A nanocredit is ten picodollars, and the margin counts in ten-thousandths.
    const DIVISOR: i128 = 10 * 10_000;
    let scaled = i128::from(cost.get()) * i128::from(10_000 + u64::from(margin_bps));
    Nanocredits::from_wide((scaled + DIVISOR / 2).div_euclid(DIVISOR))
}

impl Breakdown {
    /// The provider's cost, US$.
    pub fn total(&self) -> Result<Picodollars, MoneyError> {
        sum(&[
            self.input_usd,
            self.cached_usd,
            self.cache_write_usd,
            self.output_usd,
            self.images_usd,
            self.searches_usd,
        ])
    }
}

fn prices_at(model: &Model, input_tokens: u64) -> (u64, &Prices) {
    match model.tiers.iter().rev().find(|tier| tier.min_input_tokens <= input_tokens) {
        Some(tier) => (tier.min_input_tokens, &tier.prices),
        None => (0, &model.prices),
    }
}

fn price(price: Option<PerMillion>) -> i64 {
    price.map_or(0, PerMillion::get)
}

fn product(count: u64, picodollars_each: i64) -> Result<Picodollars, MoneyError> {
    Picodollars::from_wide(i128::from(count) * i128::from(picodollars_each))
}

fn sum(parts: &[Picodollars]) -> Result<Picodollars, MoneyError> {
    parts.iter().try_fold(Picodollars::ZERO, |total, part| total.plus(*part))
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use proptest::prelude::*;

    use super::*;
    use crate::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE};

    fn book() -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap()
    }

    #[test]
    fn the_worked_example() {
        let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
        let rating = rate(&book(), "anthropic/claude-sonnet-4.5", &usage).unwrap();
        assert_eq!((rating.cost_usd.to_string(), rating.charge.to_string()), ("0.021".into(), "3.36".into()));
    }

    #[test]
    fn a_long_prompt_is_charged_at_its_tier_as_a_whole() {
        let usage = Usage { input_tokens: 200_001, ..Usage::default() };
        let rating = rate(&book(), "anthropic/claude-sonnet-4.5", &usage).unwrap();
        assert_eq!(rating.cost_usd.to_string(), "1.200006");
        assert_eq!(rating.breakdown.tier_min_input_tokens, 200_001);
    }

    #[test]
    fn halves_round_up() {
        assert_eq!(charge(Picodollars::new(5), 0).unwrap(), Nanocredits::new(1));
        assert_eq!(charge(Picodollars::new(4), 0).unwrap(), Nanocredits::ZERO);
        assert_eq!(charge(Picodollars::MAX, 4_000_000), Err(MoneyError::Overflow));
    }

    fn big(text: &str) -> BigRational {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let numerator: num_bigint::BigInt = format!("{whole}{fraction}").parse().unwrap();
        BigRational::new(numerator, num_bigint::BigInt::from(10).pow(fraction.len() as u32))
    }

    fn whole(count: u64) -> BigRational {
        BigRational::from_integer(count.into())
    }

    /// The same rule in big rationals, read from the prices' texts.
    fn reference(book: &PriceBook, model: &Model, usage: &Usage) -> num_bigint::BigInt {
        let tier = model.tiers.iter().rfind(|tier| usage.input_tokens >= tier.min_input_tokens);
        let prices = tier.map_or(&model.prices, |tier| &tier.prices);
        let per_token = |price: Option<PerMillion>, other: Option<PerMillion>| {
            price.or(other).map_or(whole(0), |price| big(&price.to_string()) / whole(1_000_000))
        };
        let plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens;
        let cost = whole(plain) * per_token(prices.input, None)
            + whole(usage.cached_tokens) * per_token(prices.cache_read, prices.input)
            + whole(usage.cache_write_tokens) * per_token(prices.cache_write, prices.input)
            + whole(usage.output_tokens) * per_token(prices.output, None)
            + whole(usage.images) * model.per_image.map_or(whole(0), |price| big(&price.to_string()))
            + whole(usage.searches)
                * model.web_search_per_1k.map_or(whole(0), |price| big(&price.to_string()) / whole(1_000));
        let with_margin = cost * whole(u64::from(10_000 + book.margin_bps(model))) / whole(10_000);
        let nanocredits = with_margin * whole(100) * whole(1_000_000_000);
        (nanocredits + BigRational::new(1.into(), 2.into())).floor().to_integer()
    }

    prop_compose! {
        fn usages()(input in 0_u64..2_000_000, cached in 0_u64..2_000_000, written in 0_u64..2_000_000,
                    output in 0_u64..200_000, images in 0_u64..20, searches in 0_u64..20) -> Usage {
            Usage { input_tokens: input, cached_tokens: cached, cache_write_tokens: written, output_tokens: output,
                    reasoning_tokens: 0, images, searches }.consistent()
        }
    }

    proptest! {
        #[test]
        fn rating_is_exact(usage in usages(), pick: prop::sample::Index, margin in 0_u32..30_000) {
            let mut book = book();
            book.default_margin_bps = margin;
            let model = pick.get(&book.models.values().collect::<Vec<_>>()).to_owned().clone();
            let rating = rate(&book, &model.id, &usage).unwrap();
            prop_assert_eq!(num_bigint::BigInt::from(rating.charge.get()), reference(&book, &model, &usage));
            prop_assert_eq!(rating.breakdown.total().unwrap(), rating.cost_usd);
        }

        #[test]
        fn no_usage_within_the_bounds_costs_more_than_the_ceiling(usage in usages(), pick: prop::sample::Index, more in 0_u64..300_000) {
            let book = book();
            let model = pick.get(&book.models.values().collect::<Vec<_>>()).to_owned().clone();
            let bounds = Bounds { input_tokens: usage.input_tokens + more, output_tokens: usage.output_tokens,
                                  images: usage.images, searches: usage.searches };
            prop_assert!(rate(&book, &model.id, &usage).unwrap().charge <= ceiling(&book, &model.id, &bounds).unwrap());
        }
    }
}
