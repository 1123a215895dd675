//! How many calls may be repeated elsewhere: a fifth of the requests, and one a second. An outage of one upstream must not
//! become twice the load on the next. Pure: one word, and the time, which is passed in.

/// A second of rest, and a repeated call, in thousandths.
const ONE: u64 = 1_000;
/// What a request adds.
const SHARE: u64 = ONE / 5;
/// What is saved up at most: a breaker opens within so many failures.
const MOST: u64 = 100 * ONE;

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    /// Thousandths of a call.
    left: u64,
    /// Milliseconds, up to when time has added to it.
    at: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: MOST, at: 0 }
    }
}

impl Budget {
    /// A request came; `None` where that adds nothing.
    pub(super) fn with_request(self) -> Option<Self> {
        (self.left < MOST).then(|| Self { left: (self.left + SHARE).min(MOST), ..self })
    }

    /// A call is repeated; `None` if it must not be.
    pub(super) fn without_call(self, now: u64) -> Option<Self> {
        let rested = now.saturating_sub(self.at);
        let left = self.left.saturating_add(rested).min(MOST).checked_sub(ONE)?;
        Some(Self { left, at: self.at.max(now) })
    }

    /// In one word: 20 bits for what is left, 44 for the time.
    pub(super) fn packed(self) -> u64 {
        self.left << 44 | self.at & MOST_TIME
    }

    /// The budget of which this is the word.
    pub(super) fn unpacked(word: u64) -> Self {
        Self { left: word >> 44, at: word & MOST_TIME }
    }
}

const MOST_TIME: u64 = (1 << 44) - 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn repeated_calls_are_bounded_by_requests_and_time(
            steps in prop::collection::vec((any::<bool>(), 0_u64..3_000), 0..500),
        ) {
            let (mut budget, mut now) = (Budget::default(), 0);
            let (mut requests, mut repeated) = (0, 0);
            for (repeats, time) in steps {
                now += time;
                if !repeats {
                    requests += 1;
                    budget = budget.with_request().unwrap_or(budget);
                } else if let Some(less) = budget.without_call(now) {
                    repeated += 1;
                    budget = less;
                } else {
                    // It is withheld only where nothing is left.
                    prop_assert!(repeated > 99);
                }
                prop_assert_eq!(Budget::unpacked(budget.packed()), budget);
                prop_assert!(repeated * ONE <= MOST + requests * SHARE + now);
            }
        }

        #[test]
        fn a_fifth_may_be_repeated_for_ever(rounds in 1_u64..2_000) {
            let mut budget = Budget::default();
            for _ in 0..rounds {
                for _ in 0..5 {
                    budget = budget.with_request().unwrap_or(budget);
                }
                budget = budget.without_call(0).unwrap();
            }
        }
    }

    #[test]
    fn without_requests_one_a_second_is_left() {
        let mut budget = Budget::default();
        let mut repeated = 0;
        for now in 0..200_000 {
            if let Some(less) = budget.without_call(now) {
                (budget, repeated) = (less, repeated + 1);
            }
        }
        assert!((299..=300).contains(&repeated), "{repeated}");
    }
}
