use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::follow::{Phase, Snapshot};
use crate::lag::Lag;

/// Name, type and help of each metric of a projector.
const ACTIVE: (&str, &str, &str) =
    ("projector_active", "gauge", "1 while this projector follows the log; of several, one does.");
const POSITION: (&str, &str, &str) = ("projector_position", "gauge", "The last event whose rows are there.");
const HEAD: (&str, &str, &str) = ("projector_head", "gauge", "The last event in the log.");
const LAG_EVENTS: (&str, &str, &str) = ("projector_lag_events", "gauge", "Events that wait.");
const LAG_SECONDS: (&str, &str, &str) = ("projector_lag_seconds", "gauge", "How old the rows are.");
const QUARANTINED: (&str, &str, &str) =
    ("projector_quarantined_events", "gauge", "Events that cannot be projected and were passed over.");
const EVENTS: (&str, &str, &str) = ("projector_events_total", "counter", "Events applied in this life.");
const BATCHES: (&str, &str, &str) = ("projector_batches_total", "counter", "Transactions in this life.");
const FAILURES: (&str, &str, &str) =
    ("projector_failures_total", "counter", "Times that following ended, with the database away for instance.");

/// The text that Prometheus reads.
pub(super) fn render(snapshot: &Snapshot, now: DateTime<Utc>) -> String {
    let lag = |value: fn(&Lag) -> i64| snapshot.lag.as_ref().map(|lag| value(lag).to_string());
    let values = [
        (ACTIVE, Some(u8::from(snapshot.phase == Phase::Following).to_string())),
        (POSITION, lag(|lag| lag.position)),
        (HEAD, lag(|lag| lag.head)),
        (LAG_EVENTS, lag(Lag::events)),
        (LAG_SECONDS, Some(snapshot.lag_seconds(now).to_string())),
        (QUARANTINED, lag(|lag| lag.quarantined)),
        (EVENTS, Some(snapshot.events.to_string())),
        (BATCHES, Some(snapshot.batches.to_string())),
        (FAILURES, Some(snapshot.failures.to_string())),
    ];
    let mut text = String::new();
    for ((name, kind, help), value) in values {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    }
    text
}
