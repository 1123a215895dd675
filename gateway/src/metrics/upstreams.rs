use std::fmt::Write;

use super::head;
use crate::upstream::breaker::State;
use crate::upstream::{Upstream, Upstreams};

const CALLS: &str = "layers_upstream_calls_total";
const STATE: &str = "layers_upstream_breaker_state";

/// How each upstream does.
pub(super) fn write<'a>(lists: impl Iterator<Item = &'a Upstreams> + Clone, out: &mut String) {
    let all = || lists.clone().flat_map(Upstreams::all);
    head(out, CALLS, "Calls to an upstream by how they began: answered, or why not.", "counter");
    for upstream in all() {
        for (outcome, count) in upstream.counts().outcomes() {
            let _ = writeln!(out, "{CALLS}{{upstream=\"{}\",outcome=\"{outcome}\"}} {count}", name(upstream));
        }
    }
    let counts = [
        (
            "layers_upstream_broken_answers_total",
            "Answers that began and did not come to their end.",
            (|upstream| upstream.counts().broken_answers()) as fn(&Upstream) -> u64,
        ),
        ("layers_upstream_breaker_opened_total", "Times that an upstream was left alone for failing.", |upstream| {
            upstream.counts().times_opened()
        }),
    ];
    for (metric, help, count) in counts {
        head(out, metric, help, "counter");
        for upstream in all() {
            let _ = writeln!(out, "{metric}{{upstream=\"{}\"}} {}", name(upstream), count(upstream));
        }
    }
    head(out, STATE, "0 asked, 1 tried by one request, 2 left alone.", "gauge");
    for upstream in all() {
        let state = match upstream.state() {
            None | Some(State::Closed { .. }) => 0,
            Some(State::HalfOpen { .. }) => 1,
            Some(State::Open { .. }) => 2,
        };
        let _ = writeln!(out, "{STATE}{{upstream=\"{}\"}} {state}", name(upstream));
    }
    let sums = [
        (
            "layers_upstream_fallbacks_total",
            "Calls made after another upstream, or another model, had failed.",
            Upstreams::repeated as fn(&Upstreams) -> u64,
        ),
        (
            "layers_upstream_fallbacks_withheld_total",
            "Calls that were not, since too many would have been repeated.",
            Upstreams::withheld,
        ),
    ];
    for (metric, help, count) in sums {
        head(out, metric, help, "counter");
        let _ = writeln!(out, "{metric} {}", lists.clone().map(count).sum::<u64>());
    }
}

fn name(upstream: &Upstream) -> &str {
    upstream.connection().name()
}
