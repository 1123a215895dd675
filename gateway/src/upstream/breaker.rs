//! Whether an upstream is asked at all. Pure: one value of two words and the time, which is passed in.
//!
//! | state | asked | left by |
//! |---|---|---|
//! | closed | yes | failures: each adds 2 to a score, each answer takes 1; at twice [`Settings::failures`] it opens. So as many failures in a row open it, and so does any longer run in which more than a third fail. One refusal of our key opens it at once |
//! | open | no | time |
//! | half open | one request, the probe | its outcome; a probe that says nothing for a while is given up for another one |
//!
//! Only the probe speaks for a half-open upstream: what was asked before it opened, and ends now, says nothing new.

use std::time::Duration;

/// A score is forgotten when nothing has failed for so long: failures that are that far apart are not one outage.
const FORGOTTEN_AFTER: u64 = 60_000;
/// So long another request waits for the outcome of a probe before it becomes one.
const PROBE_WITHIN: u64 = 30_000;
/// What a failure adds to the score, of which each answer takes 1.
const FAILURE: u16 = 2;
/// A rest is doubled at most so often.
const MOST_DOUBLINGS: u8 = 6;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failures in a row after which it opens; at least 1.
    pub failures: u16,
    /// How long it stays open at first; doubled with each probe that fails.
    pub rest: Duration,
    /// How long it stays open at most, and at once where our key is refused.
    pub longest_rest: Duration,
}

/// How a call ended, as far as it says something about the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered, be it that the client asked for nonsense.
    Good,
    /// It failed.
    Bad,
    /// It does not take our key, or our balance there is used up: that does not pass by itself.
    Denied,
    /// Nobody waited for the outcome.
    Unknown,
}

/// The breaker of one upstream. Times are milliseconds from any point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Asked as usual.
    Closed {
        /// What failures have added and answers have taken.
        score: u16,
        /// The last failure.
        failed_at: u64,
    },
    /// Not asked.
    Open {
        /// Until then.
        until: u64,
        /// So often in a row it was opened.
        trips: u8,
    },
    /// A probe is under way.
    HalfOpen {
        /// Waited for until then.
        until: u64,
        /// So often in a row it was opened.
        trips: u8,
    },
}

/// Whether it may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admits {
    /// Yes.
    Yes,
    /// By one, who becomes the probe with this state.
    Probe(State),
    /// Not before then.
    NotBefore(u64),
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { score: 0, failed_at: 0 }
    }
}

impl State {
    /// Whether it may be asked now.
    pub fn admits(self, now: u64) -> Admits {
        match self {
            Self::Closed { .. } => Admits::Yes,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } if now < until => Admits::NotBefore(until),
            Self::Open { trips, .. } | Self::HalfOpen { trips, .. } => {
                Admits::Probe(Self::HalfOpen { until: now + PROBE_WITHIN, trips })
            }
        }
    }

    /// After a call that has ended now.
    #[must_use]
    pub fn after(self, outcome: Outcome, was_probe: bool, now: u64, settings: &Settings) -> Self {
        match (self, outcome) {
            (Self::Closed { .. }, Outcome::Denied) => settings.open(settings.longest_rest, 1, now),
            (Self::Closed { score, failed_at }, Outcome::Bad) => {
                let begun = if now.saturating_sub(failed_at) > FORGOTTEN_AFTER { 0 } else { score };
                let score = begun.saturating_add(FAILURE);
                if score >= settings.failures.saturating_mul(FAILURE) {
                    settings.open(settings.rest, 1, now)
                } else {
                    Self::Closed { score, failed_at: now }
                }
            }
            (Self::Closed { score, failed_at }, Outcome::Good) => {
                Self::Closed { score: score.saturating_sub(1), failed_at }
            }
            (Self::HalfOpen { .. }, Outcome::Good) if was_probe => Self::default(),
            (Self::HalfOpen { trips, .. }, Outcome::Bad) if was_probe => {
                let rest = settings.rest.saturating_mul(1 << trips.min(MOST_DOUBLINGS));
                settings.open(rest, trips.saturating_add(1), now)
            }
            (Self::HalfOpen { trips, .. }, Outcome::Denied) if was_probe => {
                settings.open(settings.longest_rest, trips.saturating_add(1), now)
            }
            // Another one may try at once.
            (Self::HalfOpen { trips, .. }, Outcome::Unknown) if was_probe => Self::Open { until: now, trips },
            (unchanged, _) => unchanged,
        }
    }

    /// In one word of 64 bits: two for the kind, 14 for the score or the trips, 48 for the time.
    pub fn packed(self) -> u64 {
        let (kind, count, time) = match self {
            Self::Closed { score, failed_at } => (0, u64::from(score), failed_at),
            Self::Open { until, trips } => (1, u64::from(trips), until),
            Self::HalfOpen { until, trips } => (2, u64::from(trips), until),
        };
        kind << 62 | count.min(MOST_COUNT) << 48 | time.min(MOST_TIME)
    }

    /// The state of which this is the word.
    pub fn unpacked(word: u64) -> Self {
        let (count, time) = (word >> 48 & MOST_COUNT, word & MOST_TIME);
        let trips = u8::try_from(count).unwrap_or(u8::MAX);
        match word >> 62 {
            0 => Self::Closed { score: u16::try_from(count).unwrap_or(u16::MAX), failed_at: time },
            1 => Self::Open { until: time, trips },
            _ => Self::HalfOpen { until: time, trips },
        }
    }
}

const MOST_COUNT: u64 = (1 << 14) - 1;
const MOST_TIME: u64 = (1 << 48) - 1;

impl Settings {
    fn open(&self, rest: Duration, trips: u8, now: u64) -> State {
        let rest = u64::try_from(rest.min(self.longest_rest).as_millis()).unwrap_or(MOST_TIME);
        State::Open { until: now.saturating_add(rest), trips }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: Settings =
        Settings { failures: 5, rest: Duration::from_secs(5), longest_rest: Duration::from_secs(60) };

    fn outcomes() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            3 => Just(Outcome::Good),
            3 => Just(Outcome::Bad),
            1 => Just(Outcome::Denied),
            1 => Just(Outcome::Unknown),
        ]
    }

    fn run(outcomes: &[Outcome]) -> State {
        outcomes.iter().fold(State::default(), |state, outcome| state.after(*outcome, false, 1, &SETTINGS))
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_so_does_every_second() {
        let is_open = |state| matches!(state, State::Open { .. });
        assert!(!is_open(run(&[Outcome::Bad; 4])));
        assert!(is_open(run(&[Outcome::Bad; 5])));
        assert!(is_open(run(&[Outcome::Bad, Outcome::Good].repeat(10))));
        assert!(!is_open(run(&[Outcome::Bad, Outcome::Good, Outcome::Good].repeat(1_000))));
        assert!(is_open(run(&[Outcome::Denied])));
    }

    #[test]
    fn failures_that_are_far_apart_are_no_outage() {
        let state = (0..100).fold(State::default(), |state, n| state.after(Outcome::Bad, false, n * 61_000, &SETTINGS));
        assert!(matches!(state, State::Closed { .. }));
    }

    #[test]
    fn a_rest_grows_with_each_probe_that_fails_and_the_first_that_does_not_closes() {
        let mut state = run(&[Outcome::Bad; 5]);
        let mut rests = Vec::new();
        let mut now = 1;
        for _ in 0..6 {
            let State::Open { until, .. } = state else { panic!("{state:?}") };
            rests.push((until - now) / 1_000);
            now = until;
            let Admits::Probe(probing) = state.admits(now) else { panic!("{state:?}") };
            assert_eq!(probing.admits(now), Admits::NotBefore(now + PROBE_WITHIN));
            state = probing.after(Outcome::Bad, true, now, &SETTINGS);
        }
        assert_eq!(rests, [5, 10, 20, 40, 60, 60]);
        let State::Open { until, .. } = state else { panic!("{state:?}") };
        let Admits::Probe(probing) = state.admits(until) else { panic!("{state:?}") };
        assert_eq!(probing.after(Outcome::Good, true, until, &SETTINGS), State::default());
    }

    /// One thing that happens at a breaker.
    #[derive(Clone, Debug)]
    enum Step {
        Pass(u64),
        Ask,
        End(prop::sample::Index, Outcome),
    }

    proptest! {
        #[test]
        fn a_word_says_all(count in 0_u16..(1 << 14), trips: u8, time in 0_u64..(1 << 48)) {
            for state in [
                State::Closed { score: count, failed_at: time },
                State::Open { until: time, trips },
                State::HalfOpen { until: time, trips },
            ] {
                prop_assert_eq!(State::unpacked(state.packed()), state);
            }
        }

        #[test]
        fn whatever_happens_it_is_asked_again_in_time_by_one_at_first(
            steps in prop::collection::vec(prop_oneof![
                (0_u64..70_000).prop_map(Step::Pass),
                Just(Step::Ask),
                (any::<prop::sample::Index>(), outcomes()).prop_map(|(which, outcome)| Step::End(which, outcome)),
            ], 0..200),
        ) {
            let (mut state, mut now) = (State::default(), 0);
            let mut calls: Vec<bool> = Vec::new();
            let mut last_probe = None;
            for step in steps {
                match step {
                    Step::Pass(time) => now += time,
                    Step::Ask => match state.admits(now) {
                        Admits::Yes => {
                            prop_assert!(matches!(state, State::Closed { .. }), "asked while it rests");
                            calls.push(false);
                        }
                        Admits::Probe(probing) => {
                            // The one before has ended, or was waited for.
                            if let Some(at) = last_probe {
                                prop_assert!(now >= at + PROBE_WITHIN, "two probes at once");
                            }
                            last_probe = Some(now);
                            state = probing;
                            calls.push(true);
                        }
                        Admits::NotBefore(until) => prop_assert!(until > now && until <= now + 60_000),
                    },
                    Step::End(which, outcome) if !calls.is_empty() => {
                        let was_probe = calls.swap_remove(which.index(calls.len()));
                        let before = state;
                        state = state.after(outcome, was_probe, now, &SETTINGS);
                        if was_probe {
                            last_probe = None;
                        }
                        match before {
                            State::Closed { .. } => prop_assert!(!matches!(state, State::HalfOpen { .. }), "it never opened"),
                            State::Open { .. } => prop_assert_eq!(state, before),
                            State::HalfOpen { .. } => prop_assert!(was_probe || state == before),
                        }
                    }
                    Step::End(..) => {}
                }
                prop_assert!(!matches!(state.admits(now + 60_000), Admits::NotBefore(_)), "{:?} for ever", state);
            }
        }

        #[test]
        fn who_never_fails_is_never_rested(good in prop::collection::vec(prop_oneof![Just(Outcome::Good), Just(Outcome::Unknown)], 0..100)) {
            prop_assert_eq!(run(&good), State::default());
        }
    }
}
