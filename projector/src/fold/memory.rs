use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use schemas::ids::EmitterId;
use schemas::price_book::PriceBook;
use schemas::rate::{Rating, rate};

use super::Poison;
use schemas::event::UsageRecorded;

/// What every batch may need to know: small, and kept from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// By version.
    pub prices: BTreeMap<u32, Arc<PriceBook>>,
    /// Lives that are over.
    pub fenced: HashSet<EmitterId>,
}

impl Memory {
    /// What a usage is worth, by the prices that it was authorized with.
    pub(super) fn rate(&self, usage: &UsageRecorded) -> Result<Rating, Poison> {
        let book = self.prices.get(&usage.price_version).ok_or(Poison::UnknownPrices(usage.price_version))?;
        Ok(rate(book, &usage.model, &usage.usage)?)
    }
}
