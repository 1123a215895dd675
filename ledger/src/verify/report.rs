use std::collections::BTreeMap;

use schemas::merkle::Hash;
use serde::Serialize;

/// Beyond so many, differences are counted and no longer listed.
const LISTED: usize = 10_000;

/// What is not derived: where it differs, what is derived may differ in consequence.
const OF_THE_LOG: [&str; 6] = ["positions", "recorded_at", "events", "tree", "checkpoints", "head"];

/// What does not add up, and what was looked at.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Nothing differs.
    pub ok: bool,
    /// Everything up to here was verified before, by the auditor's own file; 0 from the start.
    pub after: u64,
    /// Events folded.
    pub events: u64,
    /// Last position.
    pub position: u64,
    /// Root of the tree of all events.
    pub root: Option<Hash>,
    /// Checkpoints whose root was compared.
    pub checkpoints: u64,
    /// Of those, with a signature by a key that was given; absent where none was given.
    pub signatures: Option<u64>,
    /// Position of the read models, where there are any.
    pub read_models_position: Option<u64>,
    /// Accounts compared.
    pub accounts: u64,
    /// Requests in the log.
    pub requests: u64,
    /// Holds that are open now.
    pub open_holds: u64,
    /// Messages in the quarantine.
    pub quarantined: u64,
    /// What was odd about events that were applied all the same, by name.
    pub notes: BTreeMap<String, u64>,
    /// How long it took.
    pub seconds: f64,
    /// The most memory that this process had, KiB; absent where the system does not say.
    pub peak_memory_kib: Option<u64>,
    /// How many differences there are.
    pub difference_count: u64,
    /// The differences, those of the log itself first, each by position, those of no position last; ten thousand at most.
    pub differences: Vec<Difference>,
}

/// One thing that is not what the events add up to.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Where in the log: the event, or the last one that a row comes from.
    pub position: Option<u64>,
    /// Which table or rule.
    pub of: String,
    /// What is wrong.
    pub what: String,
}

impl Report {
    pub(super) fn differs(&mut self, position: Option<u64>, of: impl Into<String>, what: impl Into<String>) {
        self.difference_count += 1;
        if self.differences.len() < LISTED {
            self.differences.push(Difference { position, of: of.into(), what: what.into() });
        }
    }

    pub(super) fn finish(&mut self, seconds: f64) {
        self.differences.sort_by_key(|difference| {
            (!OF_THE_LOG.contains(&difference.of.as_str()), difference.position.unwrap_or(u64::MAX))
        });
        self.ok = self.difference_count == 0;
        self.seconds = seconds;
        self.peak_memory_kib = peak_memory_kib();
    }
}

/// As Linux counts it.
fn peak_memory_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
