//! The upstreams that answer one kind of traffic, and whose turn it is.
//!
//! Whoever serves the model, is not resting and was not asked for this request yet may have the turn; among them chance decides
//! by weight. With one upstream nothing is chosen, drawn or written.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::breaker::Outcome;
use super::choice::choose;
use super::listed::{Setup, Upstream};
use super::retry_budget::Budget;
use super::{Api, Failure};
use crate::mix::{STEP, mixed};

/// More than anybody has; each has a bit in a word.
pub const MOST: usize = 32;

/// Upstreams that stand in for each other.
#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Upstream>,
    began: Instant,
    /// A [`Budget`].
    budget: AtomicU64,
    drawn: AtomicU64,
    seed: u64,
    repeated: AtomicU64,
    withheld: AtomicU64,
}

/// Why nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nobody {
    /// None of them serves the model on this interface.
    Serves,
    /// All that serve it rest, the first one for so long.
    Works {
        /// Until it may be asked again.
        rests: Duration,
    },
}

/// One upstream's turn to be asked for a request. Dropped without an outcome, nobody waited for one.
#[derive(Debug)]
pub struct Turn {
    list: Arc<Upstreams>,
    index: usize,
    /// Bits of those that had their turn, this one's among them.
    tried: u32,
    is_probe: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Asked,
    Ended,
}

impl Upstreams {
    /// As they are set up, at most [`MOST`].
    pub fn new(setups: Vec<Setup>) -> Self {
        Self {
            all: setups.into_iter().take(MOST).map(Upstream::new).collect(),
            began: Instant::now(),
            budget: AtomicU64::new(Budget::default().packed()),
            drawn: AtomicU64::new(0),
            seed: RandomState::new().hash_one(0),
            repeated: AtomicU64::new(0),
            withheld: AtomicU64::new(0),
        }
    }

    /// All of them.
    pub fn all(&self) -> &[Upstream] {
        &self.all
    }

    /// Calls that were repeated at another upstream, or for another model.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Calls that would have been, were there not too many.
    pub fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    /// A request has come that may need more than one call.
    pub fn requested(&self) {
        // Nothing is written while it is full.
        self.change_budget(Budget::with_request);
    }

    /// Whose turn it is, for a request that nobody was asked for yet.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn first(self: &Arc<Self>, model: &str, api: Api) -> Result<Turn, Nobody> {
        self.turn(model, api, 0)
    }

    fn turn(self: &Arc<Self>, model: &str, api: Api, tried: u32) -> Result<Turn, Nobody> {
        let (mut free, mut soonest) = (0_u32, None);
        for (index, upstream) in self.all.iter().enumerate() {
            if tried >> index & 1 == 1 || !upstream.serves(model, api) {
                continue;
            }
            match upstream.rests_until(|| self.now()) {
                None => free |= 1 << index,
                Some(until) => soonest = Some(soonest.map_or(until, |soonest: u64| soonest.min(until))),
            }
        }
        while free != 0 {
            let index = if free.is_power_of_two() { free.trailing_zeros() as usize } else { self.draw(free) };
            // Another request may have become the probe of this one.
            if let Some(is_probe) = self.all[index].enter(|| self.now()) {
                let tried = tried | 1 << index;
                return Ok(Turn { list: self.clone(), index, tried, is_probe, stage: Stage::Waits });
            }
            free &= !(1 << index);
            soonest = Some(soonest.unwrap_or_else(|| self.now()));
        }
        Err(match soonest {
            None => Nobody::Serves,
            Some(until) => Nobody::Works { rests: Duration::from_millis(until.saturating_sub(self.now())) },
        })
    }

    fn draw(&self, free: u32) -> usize {
        let candidates = self.all.iter().enumerate().filter(|(index, _)| free >> index & 1 == 1);
        let weights = candidates.map(|(index, upstream)| (index, upstream.setup().weight));
        let drawn = self.seed.wrapping_add(self.drawn.fetch_add(1, Ordering::Relaxed));
        let number = mixed(drawn.wrapping_mul(STEP));
        choose(weights, number).unwrap_or_else(|| free.trailing_zeros() as usize)
    }

    fn may_repeat(&self) -> bool {
        let now = self.now();
        let may = self.change_budget(|budget| budget.without_call(now));
        let count = if may { &self.repeated } else { &self.withheld };
        count.fetch_add(1, Ordering::Relaxed);
        may
    }

    fn change_budget(&self, change: impl Fn(Budget) -> Option<Budget>) -> bool {
        let relaxed = Ordering::Relaxed;
        let change = |word| change(Budget::unpacked(word)).map(Budget::packed);
        self.budget.fetch_update(relaxed, relaxed, change).is_ok()
    }

    /// Milliseconds.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Turn {
    /// Whose.
    pub fn upstream(&self) -> &Upstream {
        &self.list.all[self.index]
    }

    /// It is being asked.
    pub fn asked(&mut self) {
        self.stage = Stage::Asked;
    }

    /// It answers.
    pub fn answered(&mut self) {
        self.upstream().counts().answered();
        self.end(Outcome::Good);
    }

    /// It failed before it answered.
    pub fn failed(&mut self, failure: &Failure) {
        self.upstream().counts().failed(failure);
        self.end(failure.outcome());
    }

    /// Its answer did not come to its end.
    pub fn broke(&self) {
        self.upstream().counts().broke();
        self.upstream().ended(Outcome::Bad, false, || self.list.now());
    }

    /// Whose turn it is after this one failed; `None` if nobody is left for it, the failure may not be repeated, or too many
    /// calls are repeated.
    pub fn next(&self, failure: &Failure, model: &str, api: Api) -> Option<Self> {
        if !failure.may_be_repeated(self.upstream().setup().retry_timeouts) {
            return None;
        }
        let turn = self.list.turn(model, api, self.tried).ok()?;
        self.list.may_repeat().then_some(turn)
    }

    /// Whether another model may be asked after this failure, where the client names some.
    pub fn lets_another_model_try(&self, failure: &Failure) -> bool {
        failure.may_be_asked_of_another_model(self.upstream().setup().retry_timeouts)
    }

    /// Whose turn it is where another model is asked after this failure; `None` if nobody's, or too many calls are repeated.
    /// What a model does not take is no outage, and takes nothing from what is kept for those.
    pub fn next_model(&self, failure: &Failure, model: &str, api: Api) -> Option<Self> {
        let turn = self.list.turn(model, api, 0).ok()?;
        (matches!(failure, Failure::Refused { .. }) || self.list.may_repeat()).then_some(turn)
    }

    fn end(&mut self, outcome: Outcome) {
        self.stage = Stage::Ended;
        self.upstream().ended(outcome, self.is_probe, || self.list.now());
        self.is_probe = false;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.stage == Stage::Asked {
            self.upstream().counts().abandoned();
        }
        if self.is_probe {
            self.end(Outcome::Unknown);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::breaker::Settings;
    use super::super::{Connection, Patience};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn setup(name: &str, weight: u32, breaker: Option<Settings>) -> Setup {
        Setup {
            connection: Connection::new(name, &"http://localhost/v1".parse().unwrap(), "secret").unwrap(),
            weight,
            models: Vec::new(),
            apis: Vec::new(),
            ids: BTreeMap::new(),
            patience: Patience { connect: SECOND, first_byte: SECOND, silence: SECOND },
            retry_timeouts: false,
            breaker,
        }
    }

    fn list(setups: Vec<Setup>) -> Arc<Upstreams> {
        Arc::new(Upstreams::new(setups))
    }

    fn name(turn: &Turn) -> String {
        turn.upstream().connection().name().to_owned()
    }

    #[test]
    fn each_has_one_turn_a_request_and_those_without_weight_come_last() {
        let list = list(vec![setup("c", 0, None), setup("a", 1, None), setup("b", 3, None)]);
        for _ in 0..50 {
            let mut names = Vec::new();
            let mut turn = list.first("m", Api::Chat).unwrap();
            loop {
                names.push(name(&turn));
                turn.failed(&Failure::Unreachable);
                match turn.next(&Failure::Unreachable, "m", Api::Chat) {
                    Some(next) => turn = next,
                    None => break,
                }
            }
            assert_eq!(names.last().map(String::as_str), Some("c"));
            names.sort_unstable();
            assert_eq!(names, ["a", "b", "c"]);
        }
        assert!(list.repeated() >= 99, "the budget lets a hundred pass: {}", list.repeated());
    }

    proptest! {
        #[test]
        fn whoever_serves_is_asked_once_a_request_and_nobody_else_is(
            upstreams in prop::collection::vec((0_u32..4, any::<bool>()), 1..8), requests in 1_usize..10,
        ) {
            let setups = upstreams.iter().enumerate().map(|(index, (weight, serves))| {
                let models = vec![if *serves { "m".to_owned() } else { "other".to_owned() }];
                Setup { models, ..setup(&index.to_string(), *weight, None) }
            });
            let list = list(setups.collect());
            let serving: Vec<String> = (0..upstreams.len()).filter(|index| upstreams[*index].1).map(|n| n.to_string()).collect();
            for _ in 0..requests {
                let mut asked = Vec::new();
                let mut turn = list.first("m", Api::Chat).ok();
                prop_assert_eq!(turn.is_none(), serving.is_empty());
                while let Some(mut asking) = turn {
                    asked.push(name(&asking));
                    asking.failed(&Failure::Unreachable);
                    turn = asking.next(&Failure::Unreachable, "m", Api::Chat);
                }
                asked.sort_unstable();
                prop_assert_eq!(&asked, &serving);
            }
        }
    }

    #[test]
    fn what_a_model_does_not_take_uses_nothing_up() {
        let list = list(vec![setup("a", 1, None)]);
        let refused = Failure::Refused { status: 400, message: "no".into(), code: None, param: None };
        let turn = list.first("m", Api::Chat).unwrap();
        for _ in 0..1_000 {
            assert!(turn.next_model(&refused, "n", Api::Chat).is_some());
        }
        let repeated = (0..1_000).filter(|_| turn.next_model(&Failure::Unreachable, "n", Api::Chat).is_some()).count();
        assert!((100..900).contains(&repeated) && list.withheld() > 0, "{repeated}");
    }

    #[test]
    fn who_serves_neither_the_model_nor_the_interface_is_not_asked() {
        let claude = Setup { models: vec!["anthropic/*".into()], ..setup("claude", 1, None) };
        let images = Setup { apis: vec![Api::Images], models: vec!["x/paints".into()], ..setup("images", 1, None) };
        let list = list(vec![claude, images]);
        assert_eq!(name(&list.first("anthropic/claude-haiku-4.5", Api::Chat).unwrap()), "claude");
        assert_eq!(name(&list.first("x/paints", Api::Images).unwrap()), "images");
        assert_eq!(list.first("x/paints", Api::Chat).unwrap_err(), Nobody::Serves);
        assert_eq!(list.first("openai/gpt-5", Api::Chat).unwrap_err(), Nobody::Serves);
    }

    #[test]
    fn a_model_is_called_by_the_upstreams_own_id() {
        let ids = BTreeMap::from([("anthropic/claude-haiku-4.5".to_owned(), "claude-haiku-4-5".to_owned())]);
        let list = list(vec![Setup { ids, ..setup("claude", 1, None) }]);
        let upstream = &list.all()[0];
        assert_eq!(upstream.model_id("anthropic/claude-haiku-4.5"), "claude-haiku-4-5");
        assert_eq!(upstream.model_id("openai/gpt-5"), "openai/gpt-5");
    }

    #[test]
    fn one_request_tries_who_failed_and_if_nobody_waits_for_it_another_does() {
        let breaker = Settings { failures: 1, rest: Duration::ZERO, longest_rest: SECOND };
        let list = list(vec![setup("a", 1, Some(breaker)), setup("b", 0, None)]);
        let mut turn = list.first("m", Api::Chat).unwrap();
        turn.failed(&Failure::Unreachable);
        let probe = list.first("m", Api::Chat).unwrap();
        let beside = list.first("m", Api::Chat).unwrap();
        assert_eq!((name(&probe), name(&beside)), ("a".into(), "b".into()));
        drop(probe);
        let mut probe = list.first("m", Api::Chat).unwrap();
        assert_eq!(name(&probe), "a");
        probe.answered();
        assert_eq!(name(&list.first("m", Api::Chat).unwrap()), "a");
        assert_eq!(list.all()[0].counts().times_opened(), 1);
    }

    #[test]
    fn where_all_rest_it_says_how_long() {
        let breaker = Settings { failures: 1, rest: 30 * SECOND, longest_rest: 60 * SECOND };
        let list = list(vec![setup("a", 1, Some(breaker)), setup("b", 1, Some(breaker))]);
        let mut turn = list.first("m", Api::Chat).unwrap();
        turn.failed(&Failure::Denied { status: 401 });
        let mut next = turn.next(&Failure::Denied { status: 401 }, "m", Api::Chat).unwrap();
        next.failed(&Failure::Unreachable);
        assert!(next.next(&Failure::Unreachable, "m", Api::Chat).is_none());
        let Err(Nobody::Works { rests }) = list.first("m", Api::Chat) else { panic!("somebody works") };
        assert!(rests > 29 * SECOND && rests <= 30 * SECOND, "{rests:?}");
    }
}
