use std::sync::atomic::{AtomicU64, Ordering};

use super::Failure;

/// How calls to one upstream ended, as far as their beginning goes.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [AtomicU64; OUTCOMES.len()],
    opened: AtomicU64,
    broken: AtomicU64,
}

/// What calls are counted under: answered; the kinds of failures before that; nobody waited for an answer.
pub const OUTCOMES: [&str; 10] =
    ["answered", "refused", "denied", "rate_limited", "busy", "failed", "timeout", "unreachable", "cut", "abandoned"];
const ABANDONED: usize = 9;

impl Counts {
    /// So many calls under each of [`OUTCOMES`].
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        OUTCOMES.into_iter().zip(self.outcomes.iter().map(get))
    }

    /// Times that the breaker opened.
    pub fn times_opened(&self) -> u64 {
        get(&self.opened)
    }

    /// Answers that had begun and did not come to their end.
    pub fn broken_answers(&self) -> u64 {
        get(&self.broken)
    }

    pub(super) fn answered(&self) {
        add(&self.outcomes[0]);
    }

    pub(super) fn failed(&self, failure: &Failure) {
        let index = match failure {
            Failure::Refused { .. } => 1,
            Failure::Denied { .. } => 2,
            Failure::Limited { .. } => 3,
            Failure::Busy { .. } => 4,
            Failure::Timeout => 6,
            Failure::Unreachable => 7,
            Failure::Cut => 8,
            Failure::TooLarge
            | Failure::Malformed
            | Failure::Unsendable
            | Failure::Broken { .. }
            | Failure::Said { .. }
            | Failure::Resting { .. } => 5,
        };
        add(&self.outcomes[index]);
    }

    pub(super) fn abandoned(&self) {
        add(&self.outcomes[ABANDONED]);
    }

    pub(super) fn opened(&self) {
        add(&self.opened);
    }

    pub(super) fn broke(&self) {
        add(&self.broken);
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}
