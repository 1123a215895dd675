//! More requests than this gateway, or the event log, can take: some are refused at once, before all of them wait.
//!
//! What is looked at is how long authorizations wait between their account's hold and the acknowledgement, since that is the
//! same for all accounts: where a core or NATS is the bottleneck, they queue there. While too long a wait is seen, nothing
//! more is let in; those who wait are served, so the work goes on at full rate, and when few are left the door is open again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// So many may wait for however long: a stall of NATS that lasts a moment is no overload.
const FEW: usize = 64;
/// A longer wait, of the last that waited or since anybody was served, is too long.
const TOO_LONG: Duration = Duration::from_millis(250);
/// Never do more than so many wait.
const MOST: usize = 8_192;

/// Who waits, and for how long.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    waiting: AtomicUsize,
    /// Of the last that was served, microseconds.
    last_wait: AtomicU64,
    /// When that was, or when the first of those who wait began, microseconds.
    served_at: AtomicU64,
}

/// One that waits, until it is dropped.
pub(super) struct Waiting<'a> {
    pressure: &'a Pressure,
    since: Duration,
    clock: &'a (dyn Fn() -> Duration + Sync),
}

impl Pressure {
    /// Whether one more would wait too long.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        let waiting = self.waiting.load(Ordering::Relaxed);
        let last_wait = Duration::from_micros(self.last_wait.load(Ordering::Relaxed));
        let unserved = now.saturating_sub(Duration::from_micros(self.served_at.load(Ordering::Relaxed)));
        waiting >= MOST || (waiting >= FEW && last_wait.max(unserved) > TOO_LONG)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// One begins to wait.
    pub(super) fn begin<'a>(&'a self, clock: &'a (dyn Fn() -> Duration + Sync)) -> Waiting<'a> {
        let since = clock();
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            self.served_at.store(micros(since), Ordering::Relaxed);
        }
        Waiting { pressure: self, since, clock }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = (self.clock)();
        self.pressure.last_wait.store(micros(now.saturating_sub(self.since)), Ordering::Relaxed);
        self.pressure.served_at.store(micros(now), Ordering::Relaxed);
        self.pressure.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    struct World {
        pressure: Pressure,
        ms: AtomicU64,
    }

    impl World {
        fn now(&self) -> Duration {
            Duration::from_millis(self.ms.load(Ordering::Relaxed))
        }

        fn at(&self, ms: u64) {
            self.ms.store(ms, Ordering::Relaxed);
        }

        fn is_over(&self) -> bool {
            self.pressure.is_over(self.now())
        }
    }

    #[test]
    fn a_long_wait_of_many_closes_the_door_until_few_are_left() {
        let world = World { pressure: Pressure::default(), ms: AtomicU64::new(10_000) };
        let clock = || world.now();
        let mut all: Vec<_> = (0..200).map(|_| world.pressure.begin(&clock)).collect();
        assert!(!world.is_over(), "many, and none of them long");
        world.at(10_200);
        all.pop();
        assert!(!world.is_over(), "a wait of 200 ms");
        world.at(10_260);
        all.pop();
        assert!(world.is_over(), "a wait of 260 ms");
        while all.len() >= FEW {
            assert!(world.is_over(), "{} wait", all.len());
            all.pop();
        }
        assert!(!world.is_over(), "few wait");
        assert_eq!(world.pressure.waiting(), FEW - 1);
    }

    #[test]
    fn where_nobody_is_served_it_closes_as_well() {
        let world = World { pressure: Pressure::default(), ms: AtomicU64::new(60_000) };
        let clock = || world.now();
        let few: Vec<_> = (1..FEW).map(|_| world.pressure.begin(&clock)).collect();
        world.at(70_000);
        assert!(!world.is_over(), "few may wait for however long");
        let one_more = world.pressure.begin(&clock);
        assert!(world.is_over());
        drop((few, one_more));
        assert!(!world.is_over());
    }

    #[test]
    fn no_more_than_a_bounded_number_waits() {
        let world = World { pressure: Pressure::default(), ms: AtomicU64::new(1) };
        let clock = || world.now();
        let _most: Vec<_> = (0..MOST).map(|_| world.pressure.begin(&clock)).collect();
        assert!(world.is_over());
    }
}
