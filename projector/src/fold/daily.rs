use chrono::NaiveDate;
use schemas::money::{MoneyError, Nanocredits, Picodollars};
use uuid::Uuid;

use super::Tokens;

/// Which sum of a day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct DailyKey {
    pub account_id: Uuid,
    /// UTC.
    pub day: NaiveDate,
    pub model_id: String,
    pub provider: String,
}

/// What a day's sum changes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Daily {
    pub livemode: bool,
    pub requests: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub tokens: Tokens,
    pub credits_used: Nanocredits,
    pub cost_usd: Picodollars,
}

impl Daily {
    /// This and so many times another: 1 adds a request, -1 takes it out again.
    pub(super) fn plus(self, other: &Self, times: i64) -> Result<Self, MoneyError> {
        let sum = |a: i64, b: i64| times.checked_mul(b).and_then(|b| a.checked_add(b)).ok_or(MoneyError::Overflow);
        let (a, b) = (self.tokens, other.tokens);
        Ok(Self {
            livemode: other.livemode,
            requests: sum(self.requests, other.requests)?,
            failed: sum(self.failed, other.failed)?,
            cancelled: sum(self.cancelled, other.cancelled)?,
            tokens: Tokens {
                input: sum(a.input, b.input)?,
                cached: sum(a.cached, b.cached)?,
                cache_write: sum(a.cache_write, b.cache_write)?,
                output: sum(a.output, b.output)?,
                reasoning: sum(a.reasoning, b.reasoning)?,
                images: sum(a.images, b.images)?,
                searches: sum(a.searches, b.searches)?,
            },
            credits_used: Nanocredits::new(sum(self.credits_used.get(), other.credits_used.get())?),
            cost_usd: Picodollars::new(sum(self.cost_usd.get(), other.cost_usd.get())?),
        })
    }

    /// Whether nothing changes.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self { livemode: self.livemode, ..Self::default() }
    }
}
