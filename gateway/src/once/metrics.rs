use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::metrics::head;

const KEYS: &str = "layers_idempotency_requests_total";
const KEYS_HELP: &str = "Requests with an Idempotency-Key, by what came of it.";
const UNKEPT: &str = "layers_idempotency_unkept_total";
const UNKEPT_HELP: &str = "Answers that were charged and not kept: larger than what is kept, or the database was away.";

/// What comes of a request with a key.
const OUTCOMES: [&str; 6] = ["first", "replayed", "reused", "in_use", "gone", "unavailable"];

/// The counters of requests with a key.
#[derive(Debug, Default)]
pub struct OnceMetrics {
    outcomes: [AtomicU64; OUTCOMES.len()],
    unkept: AtomicU64,
}

impl OnceMetrics {
    pub(super) fn first(&self) {
        self.count("first");
    }

    pub(super) fn replayed(&self) {
        self.count("replayed");
    }

    pub(super) fn refused(&self, error: &Error) {
        self.count(match error {
            Error::KeyReused => "reused",
            Error::KeyInUse { .. } => "in_use",
            Error::AnswerGone { .. } => "gone",
            _ => "unavailable",
        });
    }

    pub(super) fn unkept(&self) {
        self.unkept.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: &str) {
        if let Some(index) = OUTCOMES.iter().position(|known| *known == outcome) {
            self.outcomes[index].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As text for Prometheus.
    pub(crate) fn write(&self, out: &mut String) {
        head(out, KEYS, KEYS_HELP, "counter");
        for (outcome, count) in OUTCOMES.iter().zip(&self.outcomes) {
            let _ = writeln!(out, "{KEYS}{{outcome=\"{outcome}\"}} {}", count.load(Ordering::Relaxed));
        }
        head(out, UNKEPT, UNKEPT_HELP, "counter");
        let _ = writeln!(out, "{UNKEPT} {}", self.unkept.load(Ordering::Relaxed));
    }
}
