use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::breaker::{Admits, Outcome, Settings, State};
use super::client::Client;
use super::{Api, Connection, Counts, Patience};

/// One upstream as it is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its name, address and key.
    pub connection: Connection,
    /// Its share of the requests among those that serve a model; 0: only where nobody else is left.
    pub weight: u32,
    /// Models that it serves, by id or as `anthropic/*`; all, if there are none.
    pub models: Vec<String>,
    /// Interfaces that it has; all, if there are none.
    pub apis: Vec<Api>,
    /// What it calls a model, where that is not our id.
    pub ids: BTreeMap<String, String>,
    /// How long it is waited for.
    pub patience: Patience,
    /// It bills nothing that it has not begun to answer, so another one may be asked after it was silent for too long.
    pub retry_timeouts: bool,
    /// When it is left alone; never, if absent.
    pub breaker: Option<Settings>,
}

/// An upstream with what is known of it now.
#[derive(Debug)]
pub struct Upstream {
    setup: Setup,
    client: Client,
    breaker: Option<Breaker>,
    counts: Counts,
}

#[derive(Debug)]
struct Breaker {
    /// A [`State`].
    word: AtomicU64,
    settings: Settings,
}

impl Upstream {
    pub(super) fn new(setup: Setup) -> Self {
        let breaker =
            setup.breaker.map(|settings| Breaker { word: AtomicU64::new(State::default().packed()), settings });
        Self { client: Client::new(setup.patience), breaker, counts: Counts::default(), setup }
    }

    /// Who it is.
    pub fn connection(&self) -> &Connection {
        &self.setup.connection
    }

    /// The way to it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What it calls a model of ours.
    pub fn model_id<'a>(&'a self, model: &'a str) -> &'a str {
        if self.setup.ids.is_empty() { model } else { self.setup.ids.get(model).map_or(model, String::as_str) }
    }

    /// How calls to it ended.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Its breaker, if it has one.
    pub fn state(&self) -> Option<State> {
        self.breaker.as_ref().map(Breaker::state)
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(super) fn serves(&self, model: &str, api: Api) -> bool {
        let Setup { models, apis, .. } = &self.setup;
        let is_among = |allowed: &String| match allowed.strip_suffix('*') {
            Some(beginning) => model.starts_with(beginning),
            None => allowed == model,
        };
        (models.is_empty() || models.iter().any(is_among)) && (apis.is_empty() || apis.contains(&api))
    }

    /// `None` where it may be asked; else when it may be.
    pub(super) fn rests_until(&self, now: impl FnOnce() -> u64) -> Option<u64> {
        match self.breaker.as_ref()?.state() {
            State::Closed { .. } => None,
            state => match state.admits(now()) {
                Admits::NotBefore(until) => Some(until),
                Admits::Yes | Admits::Probe(_) => None,
            },
        }
    }

    /// Whether it may be asked after all, and whether by a probe.
    pub(super) fn enter(&self, now: impl Fn() -> u64) -> Option<bool> {
        let Some(breaker) = &self.breaker else { return Some(false) };
        loop {
            let word = breaker.word.load(Ordering::Relaxed);
            let state = State::unpacked(word);
            if matches!(state, State::Closed { .. }) {
                return Some(false);
            }
            match state.admits(now()) {
                Admits::Yes => return Some(false),
                Admits::NotBefore(_) => return None,
                Admits::Probe(probing) => {
                    let (relaxed, probing) = (Ordering::Relaxed, probing.packed());
                    if breaker.word.compare_exchange(word, probing, relaxed, relaxed).is_ok() {
                        return Some(true);
                    }
                }
            }
        }
    }

    pub(super) fn ended(&self, outcome: Outcome, was_probe: bool, now: impl FnOnce() -> u64) {
        let Some(breaker) = &self.breaker else { return };
        // By far the most calls: a good one of an upstream that has not failed. Nothing is written.
        if outcome == Outcome::Good && matches!(breaker.state(), State::Closed { score: 0, .. }) {
            return;
        }
        let (now, relaxed) = (now(), Ordering::Relaxed);
        let after = |state: State| state.after(outcome, was_probe, now, &breaker.settings);
        let changed = breaker.word.fetch_update(relaxed, relaxed, |word| Some(after(State::unpacked(word)).packed()));
        let before = State::unpacked(changed.unwrap_or_default());
        let name = self.setup.connection.name();
        match (before, after(before)) {
            (State::Closed { .. } | State::HalfOpen { .. }, State::Open { until, trips })
                if outcome != Outcome::Unknown =>
            {
                self.counts.opened();
                tracing::warn!(upstream = name, rest_ms = until - now, trips, "upstream.rests: it fails");
            }
            (State::HalfOpen { .. }, State::Closed { .. }) => tracing::info!(upstream = name, "upstream.back"),
            _ => {}
        }
    }
}

impl Breaker {
    fn state(&self) -> State {
        State::unpacked(self.word.load(Ordering::Relaxed))
    }
}
