use std::collections::{BTreeMap, HashMap};
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
    /// Lives that are over, by the position of their end.
    pub fenced: HashMap<EmitterId, i64>,
}

impl Memory {
    /// Whether a life was over at a position.
    pub(super) fn is_fenced(&self, emitter: EmitterId, position: i64) -> bool {
        self.fenced.get(&emitter).is_some_and(|fence| *fence < position)
    }

    /// What a usage is worth, by the prices that it was authorized with.
    pub(super) fn rate(&self, usage: &UsageRecorded) -> Result<Rating, Poison> {
        let book = self.prices.get(&usage.price_version).ok_or(Poison::UnknownPrices(usage.price_version))?;
        Ok(rate(book, &usage.model, &usage.usage)?)
    }
}
