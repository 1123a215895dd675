//! What a provider says of one call, or of many: its cost and its counts, as far as it says them. Pure.

use schemas::money::{MoneyError, Picodollars};
use schemas::rate::Usage;
use serde::Serialize;

/// Counts and cost; none where the provider does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Figures {
    pub cost_usd: Option<Picodollars>,
    pub requests: Option<u64>,
    pub input_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    pub cache_write_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    pub searches: Option<u64>,
}

/// How far two records may differ and still say the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// Of a cost, US$.
    pub cost_usd: Picodollars,
    /// Of a count of tokens.
    pub tokens: u64,
}

/// One figure that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which.
    pub figure: &'static str,
    /// Ours.
    pub ours: String,
    /// The provider's.
    pub theirs: String,
}

impl Figures {
    /// Ours of one usage.
    pub fn of(usage: &Usage, cost_usd: Picodollars) -> Self {
        Self {
            cost_usd: Some(cost_usd),
            requests: Some(1),
            input_tokens: Some(usage.input_tokens),
            cached_tokens: Some(usage.cached_tokens),
            cache_write_tokens: Some(usage.cache_write_tokens),
            output_tokens: Some(usage.output_tokens),
            reasoning_tokens: Some(usage.reasoning_tokens),
            searches: Some(usage.searches),
        }
    }

    /// Where cached and written tokens are more than the input, they are not counted in it: some providers count them
    /// beside it. Ours are parts of it.
    pub fn with_parts_in_the_whole(mut self) -> Self {
        let parts = self.cached_tokens.unwrap_or(0).saturating_add(self.cache_write_tokens.unwrap_or(0));
        if let Some(input) = self.input_tokens
            && parts > input
        {
            self.input_tokens = Some(input.saturating_add(parts));
        }
        self
    }

    /// The usage that the provider bills, if it says how many tokens came and went; what it does not say is ours.
    pub fn usage(&self, ours: &Usage) -> Option<Usage> {
        let usage = Usage {
            input_tokens: self.input_tokens?,
            cached_tokens: self.cached_tokens.unwrap_or(ours.cached_tokens),
            cache_write_tokens: self.cache_write_tokens.unwrap_or(ours.cache_write_tokens),
            output_tokens: self.output_tokens?,
            reasoning_tokens: self.reasoning_tokens.unwrap_or(ours.reasoning_tokens),
            images: ours.images,
            searches: self.searches.unwrap_or(ours.searches),
        };
        Some(usage.consistent())
    }

    /// Whether anything was billed.
    pub fn is_nothing(&self) -> bool {
        self.cost_usd.unwrap_or_default() == Picodollars::ZERO
            && [self.input_tokens, self.output_tokens, self.searches].iter().all(|count| count.unwrap_or(0) == 0)
    }

    /// What differs, of what the provider says.
    pub fn differences(&self, theirs: &Self, tolerance: &Tolerance) -> Vec<Difference> {
        let mut all = Vec::new();
        let counts = [
            ("requests", self.requests, theirs.requests, 0),
            ("input_tokens", self.input_tokens, theirs.input_tokens, tolerance.tokens),
            ("cached_tokens", self.cached_tokens, theirs.cached_tokens, tolerance.tokens),
            ("cache_write_tokens", self.cache_write_tokens, theirs.cache_write_tokens, tolerance.tokens),
            ("output_tokens", self.output_tokens, theirs.output_tokens, tolerance.tokens),
            ("reasoning_tokens", self.reasoning_tokens, theirs.reasoning_tokens, tolerance.tokens),
            ("searches", self.searches, theirs.searches, 0),
        ];
        for (figure, ours, theirs, tolerance) in counts {
            if let (ours, Some(theirs)) = (ours.unwrap_or(0), theirs)
                && ours.abs_diff(theirs) > tolerance
            {
                all.push(Difference { figure, ours: ours.to_string(), theirs: theirs.to_string() });
            }
        }
        if let (ours, Some(theirs)) = (self.cost_usd.unwrap_or_default(), theirs.cost_usd)
            && ours.get().abs_diff(theirs.get()) > tolerance.cost_usd.get().unsigned_abs()
        {
            all.push(Difference { figure: "cost_usd", ours: ours.to_string(), theirs: theirs.to_string() });
        }
        all
    }

    /// With another one's added; a figure that neither says stays unsaid.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => Ok(None),
            (a, b) => a.unwrap_or(0).checked_add(b.unwrap_or(0)).map(Some).ok_or(MoneyError::Overflow),
        };
        let cost_usd = match (self.cost_usd, other.cost_usd) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or_default().plus(b.unwrap_or_default())?),
        };
        Ok(Self {
            cost_usd,
            requests: sum(self.requests, other.requests)?,
            input_tokens: sum(self.input_tokens, other.input_tokens)?,
            cached_tokens: sum(self.cached_tokens, other.cached_tokens)?,
            cache_write_tokens: sum(self.cache_write_tokens, other.cache_write_tokens)?,
            output_tokens: sum(self.output_tokens, other.output_tokens)?,
            reasoning_tokens: sum(self.reasoning_tokens, other.reasoning_tokens)?,
            searches: sum(self.searches, other.searches)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_the_provider_says_is_compared() {
        let usage = Usage { input_tokens: 10, output_tokens: 5, ..Usage::default() };
        let ours = Figures::of(&usage, Picodollars::new(700));
        assert!(ours.differences(&Figures::default(), &Tolerance::default()).is_empty());
        let theirs = Figures { output_tokens: Some(7), cost_usd: Some(Picodollars::new(900)), ..Figures::default() };
        let figures = |tolerance| -> Vec<_> {
            ours.differences(&theirs, &tolerance).into_iter().map(|it| (it.figure, it.ours, it.theirs)).collect()
        };
        let cost = ("cost_usd", "0.0000000007".to_owned(), "0.0000000009".to_owned());
        let output = ("output_tokens", "5".to_owned(), "7".to_owned());
        assert_eq!(figures(Tolerance::default()), [output.clone(), cost.clone()]);
        assert_eq!(figures(Tolerance { tokens: 2, ..Tolerance::default() }), [cost]);
        assert_eq!(figures(Tolerance { cost_usd: Picodollars::new(200), tokens: 1 }), [output]);
    }

    #[test]
    fn cached_tokens_that_are_counted_beside_the_input_become_a_part_of_it() {
        let beside = Figures { input_tokens: Some(3), cached_tokens: Some(10), ..Figures::default() };
        assert_eq!(beside.with_parts_in_the_whole().input_tokens, Some(13));
        let within = Figures { input_tokens: Some(13), cached_tokens: Some(10), ..Figures::default() };
        assert_eq!(within.with_parts_in_the_whole(), within);
    }

    proptest! {
        #[test]
        fn what_says_the_same_does_not_differ(input: u32, output: u32, cost in 0_i64..1_000_000, tolerance in 0_i64..50, more in 0_i64..50) {
            let usage = Usage { input_tokens: input.into(), output_tokens: output.into(), ..Usage::default() };
            let ours = Figures::of(&usage, Picodollars::new(cost));
            let theirs = Figures::of(&usage, Picodollars::new(cost + more));
            let tolerance = Tolerance { cost_usd: Picodollars::new(tolerance), tokens: 0 };
            prop_assert_eq!(ours.differences(&theirs, &tolerance).is_empty(), more <= tolerance.cost_usd.get());
            prop_assert_eq!(theirs.usage(&Usage::default()), Some(usage));
            prop_assert_eq!(ours.plus(&Figures::default()).unwrap(), ours);
        }
    }
}
