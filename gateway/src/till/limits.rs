//! Requests a minute, by account. Each gateway lets its share through; a burst may use a whole minute's.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, QuantaClock, QuantaInstant, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::sync::Cache;
use parking_lot::Mutex;
use schemas::ids::AccountId;
use schemas::tier::Tier;

use super::admission::Admission;

type Limiter = RateLimiter<NotKeyed, InMemoryState, QuantaClock, StateInformationMiddleware>;

const MOST_ACCOUNTS: u64 = 500_000;
/// After a minute without a request a limit is as good as new.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(61);
const MINUTE_NS: u128 = 60_000_000_000;

/// The limits of all accounts that were seen lately.
pub(super) struct Limits {
    accounts: Cache<AccountId, Arc<Mutex<Limit>>>,
    clock: QuantaClock,
}

struct Limit {
    share: NonZeroU32,
    limiter: Limiter,
    /// After the last request, and when that was.
    remaining: u32,
    at: QuantaInstant,
}

impl Default for Limits {
    fn default() -> Self {
        let accounts = Cache::builder().max_capacity(MOST_ACCOUNTS).time_to_idle(FORGOTTEN_AFTER).build();
        Self { accounts, clock: QuantaClock::default() }
    }
}

impl Limits {
    /// Counts one request of an account, of which so many gateways serve a share.
    pub(super) fn admit(&self, account_id: AccountId, tier: Tier, gateways: u32) -> Admission {
        let limit = tier.requests_per_minute();
        let share = share(limit, gateways);
        let entry = self.accounts.get_with(account_id, || Arc::new(Mutex::new(Limit::new(share, self.clock.now()))));
        entry.lock().admit(limit, share, self.clock.now())
    }
}

fn share(limit: u32, gateways: u32) -> NonZeroU32 {
    NonZeroU32::new(limit / gateways.max(1)).unwrap_or(NonZeroU32::MIN)
}

impl Limit {
    fn new(share: NonZeroU32, now: QuantaInstant) -> Self {
        let limiter = RateLimiter::direct(Quota::per_minute(share)).with_middleware();
        Self { share, limiter, remaining: share.get(), at: now }
    }

    fn admit(&mut self, limit: u32, share: NonZeroU32, now: QuantaInstant) -> Admission {
        if share != self.share {
            self.change(share, now);
        }
        let (remaining, refused) = match self.limiter.check() {
            Ok(state) => (state.remaining_burst_capacity(), None),
            Err(until) => (0, Some(until.wait_time_from(now).max(Duration::from_millis(1)))),
        };
        (self.remaining, self.at) = (remaining, now);
        let used = u128::from(share.get() - remaining.min(share.get()));
        let reset_ns = MINUTE_NS * used / u128::from(share.get());
        // The other gateways' shares are taken to be used as this one's is.
        let of_all = u64::from(remaining) * u64::from(limit) / u64::from(share.get());
        Admission {
            limit,
            remaining: u32::try_from(of_all).unwrap_or(limit).min(limit),
            reset: Duration::from_nanos(u64::try_from(reset_ns).unwrap_or(u64::MAX)),
            refused,
        }
    }

    /// Another share: what is used of the old one counts in the new one, so that a change is not a new burst.
    fn change(&mut self, share: NonZeroU32, now: QuantaInstant) {
        let (old, new) = (u128::from(self.share.get()), u128::from(share.get()));
        let since_ns = Duration::from(now.duration_since(self.at)).as_nanos();
        let refilled = old * since_ns / MINUTE_NS;
        let used = old.saturating_sub(u128::from(self.remaining) + refilled);
        let used = u32::try_from((used * new).div_ceil(old)).unwrap_or(u32::MAX).min(share.get());
        *self = Self::new(share, now);
        if let Some(used) = NonZeroU32::new(used)
            && let Ok(Ok(state)) = self.limiter.check_n(used)
        {
            self.remaining = state.remaining_burst_capacity();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const ACCOUNT: AccountId = AccountId(Uuid::nil());

    #[test]
    fn a_burst_uses_a_whole_minute_and_then_waits_for_its_turn() {
        let limits = Limits::default();
        for used in 1..=10 {
            let admission = limits.admit(ACCOUNT, Tier::Free, 1);
            assert_eq!((admission.limit, admission.remaining, admission.refused), (10, 10 - used, None));
        }
        let admission = limits.admit(ACCOUNT, Tier::Free, 1);
        let wait = admission.refused.unwrap();
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(6), "{wait:?}");
        assert_eq!(admission.remaining, 0);
        assert_eq!(admission.reset, Duration::from_secs(60));
    }

    #[test]
    fn gateways_share_the_limit() {
        let limits = Limits::default();
        let admitted = (0..60).filter(|_| limits.admit(ACCOUNT, Tier::Starter, 3).refused.is_none()).count();
        assert_eq!(admitted, 20);
    }

    #[test]
    fn another_share_is_not_another_burst() {
        let limits = Limits::default();
        for _ in 0..60 {
            limits.admit(ACCOUNT, Tier::Starter, 1);
        }
        let after: Vec<_> = (1..=6).map(|gateways| limits.admit(ACCOUNT, Tier::Starter, gateways).refused).collect();
        assert!(after.iter().all(Option::is_some), "{after:?}");
    }

    #[test]
    fn the_measurement_tier_is_never_reached() {
        let limits = Limits::default();
        assert!((0..100_000).all(|_| limits.admit(ACCOUNT, Tier::Bench, 2).refused.is_none()));
    }
}
