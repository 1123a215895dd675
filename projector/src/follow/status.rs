use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

use crate::lag::Lag;

/// What a projector is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The database is not to be reached.
    #[default]
    Disconnected,
    /// The tables are not there yet.
    WaitingForMigrations,
    /// Another projector is active.
    StandingBy,
    /// Active.
    Following,
}

impl Phase {
    /// As it is written in health.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::WaitingForMigrations => "waiting_for_migrations",
            Self::StandingBy => "standing_by",
            Self::Following => "following",
        }
    }
}

/// What the follower tells the outside; shared with the HTTP server.
#[derive(Debug, Default)]
pub struct Status {
    now: Mutex<Snapshot>,
    events: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
}

/// One look at it.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// How far it was when the database was last asked, if ever.
    pub lag: Option<Lag>,
    /// When that was.
    pub seen_at: Option<DateTime<Utc>>,
    /// Why it stopped last.
    pub last_error: Option<String>,
    /// Events applied in this life.
    pub events: u64,
    /// Batches in this life.
    pub batches: u64,
    /// Times that following ended in this life.
    pub failures: u64,
}

impl Status {
    /// Everything now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            events: self.events.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            ..self.now.lock().clone()
        }
    }

    pub(super) fn phase(&self, phase: Phase) {
        self.now.lock().phase = phase;
    }

    pub(super) fn seen(&self, phase: Phase, lag: Option<Lag>) {
        let mut now = self.now.lock();
        now.phase = phase;
        now.lag = lag;
        now.seen_at = Some(Utc::now());
    }

    pub(super) fn applied(&self, events: usize) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self, error: &impl ToString) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut now = self.now.lock();
        now.phase = Phase::Disconnected;
        now.last_error = Some(error.to_string());
    }
}

impl Snapshot {
    /// How old the rows are, seconds: since the oldest event that waits, or since the database was last asked.
    pub fn lag_seconds(&self, now: DateTime<Utc>) -> f64 {
        let waiting = self.lag.as_ref().map_or(0.0, |lag| lag.seconds(now));
        // Asked once a second at least; less than that is no age.
        const FRESH_SECONDS: f64 = 2.0;
        let unseen = self.seen_at.map_or(0.0, |at| ((now - at).num_milliseconds() as f64) / 1000.0);
        if unseen > FRESH_SECONDS { waiting.max(unseen) } else { waiting }
    }
}
