//! Failed authentications, counted by address: who guesses keys is soon told to wait, and does not keep the ledger from its work.
//! A key that is known to be good is let in wherever it comes from, so nobody locks out their neighbours.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use moka::sync::Cache;

use crate::address::ClientAddress;

/// In a minute from the first.
const MOST: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);
const MOST_ADDRESSES: u64 = 100_000;

/// What is counted.
pub struct Failures {
    counts: Cache<IpAddr, Arc<AtomicU32>>,
}

impl Default for Failures {
    fn default() -> Self {
        Self { counts: Cache::builder().max_capacity(MOST_ADDRESSES).time_to_live(MINUTE).build() }
    }
}

impl Failures {
    /// Whether this address has failed too often in the last minute.
    pub fn too_many(&self, client: ClientAddress) -> bool {
        self.counts.get(&client.neighbourhood()).is_some_and(|count| count.load(Ordering::Relaxed) >= MOST)
    }

    /// One more.
    pub fn count(&self, client: ClientAddress) {
        self.counts.get_with(client.neighbourhood(), Arc::default).fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_fails_so_often_and_its_network_with_it() {
        let of = |text: &str| ClientAddress { address: text.parse().unwrap(), tls: false };
        let failures = Failures::default();
        for _ in 0..MOST {
            assert!(!failures.too_many(of("2001:db8::1")));
            failures.count(of("2001:db8::2"));
        }
        assert!(failures.too_many(of("2001:db8::ffff")));
        assert!(!failures.too_many(of("2001:db8:0:1::1")) && !failures.too_many(of("1.2.3.4")));
    }
}
