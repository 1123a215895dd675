//! What is counted, and what each count means. Text for Prometheus at `GET /metrics`.

mod upstreams;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::edge::Edge;
use crate::error::Error;
use crate::till::TillMetrics;

const REQUESTS: &str = "layers_requests_total";
const REQUESTS_HELP: &str = "Requests by how they ended; a stream that breaks later is counted apart.";
const SECONDS: &str = "layers_response_seconds";
const SECONDS_HELP: &str = "From the arrival of a request to the head of its response, the provider's time included.";
const STREAM_USED: &str = "layers_stream_used_percent";
const STREAM_USED_HELP: &str = "How full the stream is, by the ledger's word; from 80 on, new requests are refused.";
const WAITING: &str = "layers_authorizations_waiting";
const WAITING_HELP: &str = "Requests whose hold is taken and not acknowledged yet.";
const FEEDS: &str = "layers_feeds_open";
const FEEDS_HELP: &str = "Live feeds (GET /v1/events) that are open.";
const BROKEN: &str = "layers_streams_broken_total";
const BROKEN_HELP: &str = "Streams that ended with an error after they had begun.";

/// How requests end: the labels of [`Error::label`], `ok`, and `replayed` for an answer that was given before.
const OUTCOMES: [&str; 15] = [
    "ok",
    "invalid",
    "not_authenticated",
    "rate_limited",
    "insufficient_credits",
    "credits_held",
    "key_cap_reached",
    "not_allowed",
    "unavailable",
    "provider_failed",
    "provider_denied",
    "settlement_unconfirmed",
    "cannot_read",
    "replayed",
    "internal",
];

/// Upper ends of the histogram's buckets, milliseconds and as they are written.
const BUCKETS: [(u64, &str); 12] = [
    (1, "0.001"),
    (2, "0.002"),
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (500, "0.5"),
    (1_000, "1"),
    (5_000, "5"),
    (30_000, "30"),
    (120_000, "120"),
];

/// The edge's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    outcomes: [AtomicU64; OUTCOMES.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    slower: AtomicU64,
    microseconds: AtomicU64,
    broken: AtomicU64,
}

impl Metrics {
    /// A response is on its way.
    pub fn answered(&self, outcome: &str, after: Duration) {
        let index = OUTCOMES.iter().position(|known| *known == outcome).unwrap_or(OUTCOMES.len() - 1);
        add(&self.outcomes[index], 1);
        let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        let bucket = BUCKETS.iter().position(|(end, _)| milliseconds < *end);
        add(bucket.map_or(&self.slower, |bucket| &self.buckets[bucket]), 1);
        add(&self.microseconds, u64::try_from(after.as_micros()).unwrap_or(0));
    }

    /// A stream ended with an error.
    pub fn stream_broken(&self, error: &Error) {
        tracing::debug!(outcome = error.label(), "stream.broken");
        add(&self.broken, 1);
    }

    fn write(&self, out: &mut String) {
        head(out, REQUESTS, REQUESTS_HELP, "counter");
        for (outcome, count) in OUTCOMES.iter().zip(&self.outcomes) {
            let _ = writeln!(out, "{REQUESTS}{{outcome=\"{outcome}\"}} {}", get(count));
        }
        head(out, SECONDS, SECONDS_HELP, "histogram");
        let mut below = 0;
        for ((_, end), count) in BUCKETS.iter().zip(&self.buckets) {
            below += get(count);
            let _ = writeln!(out, "{SECONDS}_bucket{{le=\"{end}\"}} {below}");
        }
        let (all, microseconds) = (below + get(&self.slower), get(&self.microseconds));
        let _ = writeln!(out, "{SECONDS}_bucket{{le=\"+Inf\"}} {all}");
        let _ = writeln!(out, "{SECONDS}_sum {}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
        let _ = writeln!(out, "{SECONDS}_count {all}");
        head(out, BROKEN, BROKEN_HELP, "counter");
        let _ = writeln!(out, "{BROKEN} {}", get(&self.broken));
    }
}

/// The till's counters, with names and help.
fn write_till(till: &TillMetrics, out: &mut String) {
    let gauges = [
        ("layers_holds_open", "Holds taken and not yet ended.", &till.holds_open),
        ("layers_leases_open", "Accounts of which credits are leased.", &till.leases_open),
        ("layers_leased_free_nanocredits", "Credits leased and in no hold.", &till.leased_nanocredits),
        ("layers_lives", "Lives that authorize, or still owe events to the ledger.", &till.lives),
        ("layers_backlog_events", "Events that are not yet appended.", &till.backlog_events),
        ("layers_backlog_bytes", "Bytes of the events that are not yet appended.", &till.backlog_bytes),
    ];
    for (name, help, gauge) in gauges {
        head(out, name, help, "gauge");
        let _ = writeln!(out, "{name} {}", gauge.get());
    }
    let counters = [
        ("layers_authorized_total", "Requests whose hold was acknowledged.", &till.authorized),
        ("layers_settled_total", "Requests whose usage and deduction were acknowledged.", &till.settled),
        ("layers_released_total", "Holds given back without a charge.", &till.released),
        (
            "layers_holds_dropped_total",
            "Holds neither settled nor released by the code: each is a bug.",
            &till.dropped_unspent,
        ),
        ("layers_refused_insufficient_total", "Refused: the account has too few credits.", &till.refused_insufficient),
        ("layers_refused_held_total", "Refused: the credits are held for running requests.", &till.refused_held),
        ("layers_refused_by_key_total", "Refused: the key's own models or cap do not allow it.", &till.refused_by_key),
        ("layers_refused_unavailable_total", "Refused: could not be decided.", &till.refused_unavailable),
        ("layers_shed_total", "Refused at the door, since too many requests wait to be authorized.", &till.shed),
        ("layers_gate_refusals_total", "Authorizations that a closed gate refused.", &till.gate_refusals),
        ("layers_undecided_total", "Authorizations that stayed undecided and were released.", &till.undecided),
        ("layers_resends_total", "Events sent again because the ledger missed them.", &till.resends),
        ("layers_lease_requests_total", "Requests to the ledger for credits.", &till.lease_requests),
        (
            "layers_credit_waits_total",
            "Requests that waited for credits: for a grant, a recall, or holds that end.",
            &till.credit_waits,
        ),
        ("layers_credit_wait_us_total", "Microseconds that they waited in all.", &till.credit_wait_us),
        ("layers_lease_returns_total", "Times that unused credits were given back.", &till.lease_returns),
        ("layers_lives_begun_total", "Lives begun: the first, and one after each fence.", &till.lives_begun),
        ("layers_revocations_total", "Revoked keys heard of.", &till.revocations),
    ];
    for (name, help, count) in counters {
        head(out, name, help, "counter");
        let _ = writeln!(out, "{name} {}", count.get());
    }
}

/// `GET /metrics`.
pub async fn show(State(edge): State<Edge>) -> impl IntoResponse {
    let mut out = String::with_capacity(8 * 1024);
    edge.metrics().write(&mut out);
    write_till(edge.till().metrics(), &mut out);
    upstreams::write(edge.all_upstreams().map(|list| &**list), &mut out);
    head(&mut out, STREAM_USED, STREAM_USED_HELP, "gauge");
    let _ = writeln!(out, "{STREAM_USED} {}", edge.till().health().stream_used_percent);
    head(&mut out, WAITING, WAITING_HELP, "gauge");
    let _ = writeln!(out, "{WAITING} {}", edge.till().waiting());
    if let Some(feeds) = edge.feeds() {
        head(&mut out, FEEDS, FEEDS_HELP, "gauge");
        let _ = writeln!(out, "{FEEDS} {}", feeds.count());
    }
    if let Some(answers) = edge.answers() {
        answers.metrics().write(&mut out);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out)
}

/// The lines before a metric.
pub(crate) fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

fn get(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_counted_under_its_name() {
        for error in [Error::NoKey, Error::TooLarge, Error::SettlementUnconfirmed, Error::CannotRead, Error::Internal] {
            assert!(OUTCOMES.contains(&error.label()), "{}", error.label());
        }
        let metrics = Metrics::default();
        metrics.answered("rate_limited", Duration::from_millis(3));
        metrics.answered("ok", Duration::from_secs(600));
        let mut out = String::new();
        metrics.write(&mut out);
        for line in [
            "layers_requests_total{outcome=\"rate_limited\"} 1",
            "layers_response_seconds_bucket{le=\"0.002\"} 0",
            "layers_response_seconds_bucket{le=\"0.005\"} 1",
            "layers_response_seconds_bucket{le=\"+Inf\"} 2",
            "layers_response_seconds_sum 600.003000",
        ] {
            assert!(out.lines().any(|written| written == line), "{line} is missing in {out}");
        }
    }
}
