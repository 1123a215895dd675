use std::cell::Cell;

use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

/// A generator of numbers that are the same for the same seed: SplitMix64, which needs no state but its counter.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..count`; `count` is at least 1.
    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    /// True so many times in a thousand.
    pub(crate) fn permille(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }
}

thread_local! {
    /// Ids that the ledger's core asks for come from here: it takes a plain function.
    static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// Sets the time, in milliseconds since 1970, and the numbers that ids are made from.
pub(crate) fn set_ids(time_ms: u64, random: u64) {
    IDS.set((time_ms, random));
}

/// The next UUIDv7: of the time that was set last, and otherwise by chance.
pub(crate) fn new_id() -> Uuid {
    let (time_ms, random) = IDS.get();
    let mut chance = Chance::new(random);
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&chance.next().to_be_bytes());
    bytes[8..].copy_from_slice(&chance.next().to_be_bytes()[..2]);
    IDS.set((time_ms, random.wrapping_add(0x5851_f42d_4c95_7f2d)));
    uuid::Builder::from_unix_timestamp_millis(time_ms, &bytes).into_uuid()
}

/// The time in the story: it moves a little with each step, whatever clocks say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(pub(crate) DateTime<Utc>);

impl Clock {
    /// Moves on.
    pub(crate) fn tick(&mut self, chance: &mut Chance) {
        self.0 += Duration::microseconds(i64::try_from(chance.below(400_000)).unwrap_or_default());
        let time_ms = u64::try_from(self.0.timestamp_millis()).unwrap_or_default();
        IDS.set((time_ms, IDS.get().1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let ids = || {
            set_ids(1_700_000_000_000, 7);
            [new_id(), new_id(), new_id()]
        };
        let first = ids();
        assert_eq!(first, ids());
        assert!(first[0] != first[1] && first[1] != first[2]);
        assert!(first.iter().all(|id| id.get_version_num() == 7));
    }
}
