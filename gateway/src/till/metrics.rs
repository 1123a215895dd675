use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What the till counts. The edge gives names and help texts to them.
#[derive(Debug, Default)]
pub struct TillMetrics {
    /// Holds taken and not yet ended; a gauge.
    pub holds_open: Gauge,
    /// Accounts of which credits are leased; a gauge, of the last look.
    pub leases_open: Gauge,
    /// Leased and free, nanocredits; a gauge, of the last look.
    pub leased_nanocredits: Gauge,
    /// Lives that authorize or still owe events; a gauge.
    pub lives: Gauge,
    /// Events that are not yet appended; a gauge.
    pub backlog_events: Gauge,
    /// Their bytes; a gauge.
    pub backlog_bytes: Gauge,
    /// Requests authorized.
    pub authorized: Count,
    /// Requests settled: both events acknowledged.
    pub settled: Count,
    /// Holds released.
    pub released: Count,
    /// Holds that were dropped without being settled or released: each is a bug.
    pub dropped_unspent: Count,
    /// Refused: the account has too few credits.
    pub refused_insufficient: Count,
    /// Refused: the credits are held.
    pub refused_held: Count,
    /// Refused: the key may not ask the model, or its cap is reached.
    pub refused_by_key: Count,
    /// Refused: could not be decided now.
    pub refused_unavailable: Count,
    /// Refused at the door, since too many wait.
    pub shed: Count,
    /// Authorizations that a closed gate refused.
    pub gate_refusals: Count,
    /// Authorizations that stayed undecided and were released.
    pub undecided: Count,
    /// Events sent again because the ledger did not report them.
    pub resends: Count,
    /// Lease requests.
    pub lease_requests: Count,
    /// Requests that waited for the ledger's word, for credits that it recalled, or for credits that came free.
    pub credit_waits: Count,
    /// How long all of them waited, microseconds.
    pub credit_wait_us: Count,
    /// Lives begun.
    pub lives_begun: Count,
    /// Unused credits given back.
    pub lease_returns: Count,
    /// Revocations heard.
    pub revocations: Count,
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Up to now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Changes it.
    pub fn add(&self, more: i64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
