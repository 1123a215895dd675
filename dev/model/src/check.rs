//! Every state of a small world, with stateright.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::properties::{self, ALWAYS};
use crate::setup::Setup;
use crate::world::{Action, World};

/// A world as stateright walks it.
#[derive(Clone)]
pub struct Walk {
    setup: Setup,
    /// A bit for each of [`REACHES`]. Kept here, since of two ways to the same state only one goes on.
    reached: Arc<AtomicU32>,
}

/// Something that a world must be able to reach, by name; else its rules hold for nothing.
pub type Reached = (&'static str, fn(&World) -> bool);

/// What came of walking it.
#[derive(Debug)]
pub struct Checked {
    /// Different states.
    pub states: usize,
    /// Steps to the furthest.
    pub depth: usize,
    /// How long it took.
    pub took: Duration,
    /// The first rule that was found broken, and the way there.
    pub broken: Option<(&'static str, Vec<Action>, Box<World>)>,
    /// What should be reached and was not.
    pub unreached: Vec<&'static str>,
    /// All there is was looked at.
    pub complete: bool,
}

impl Model for Walk {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.setup)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        world.actions(&self.setup, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.step(&self.setup, action);
        let before = self.reached.load(Ordering::Relaxed);
        for (bit, (_, is_reached)) in REACHES.iter().enumerate() {
            if before & (1 << bit) == 0 && is_reached(&next) {
                self.reached.fetch_or(1 << bit, Ordering::Relaxed);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            always::<0>(),
            always::<1>(),
            always::<2>(),
            always::<3>(),
            always::<4>(),
            always::<5>(),
            always::<6>(),
            always::<7>(),
            Property::always(NOT_STUCK, |walk: &Self, world| !is_stuck(&walk.setup, world)),
        ]
    }
}

/// Where nothing can happen, all is over.
const NOT_STUCK: &str = "nothing is stuck";

fn always<const N: usize>() -> Property<Walk> {
    Property::always(ALWAYS[N].0, |walk: &Walk, world| ALWAYS[N].1(&walk.setup, world))
}

/// Nothing can happen, and yet not all is over.
pub fn is_stuck(setup: &Setup, world: &World) -> bool {
    let mut actions = Vec::new();
    world.actions(setup, &mut actions);
    actions.is_empty() && !world.is_at_rest()
}

/// Everything that can be asked to be reached.
pub const REACHES: [Reached; 10] = [
    ("an answer that was paid for", |world| world.requests.iter().any(|request| request.answered)),
    ("quiet", World::is_quiet),
    ("a gate that refuses", |world| world.seen.refused_by_gate),
    ("a fence", |world| world.seen.reclaimed),
    ("a release", |world| world.seen.released),
    ("an expiry", |world| world.seen.expired),
    ("a late usage", |world| world.seen.late_usage),
    ("a repeat", |world| world.seen.repeat_dropped),
    ("another generation", |world| world.seen.new_generation),
    ("something said again", |world| world.seen.said_again),
];

/// Looks at every state, or at so many; stops at the first rule that is broken.
pub fn check(setup: &Setup, reaches: &[&'static str], threads: usize, at_most: Option<usize>) -> Checked {
    check_within(setup, reaches, threads, at_most, usize::MAX)
}

/// Looks for a shortest way to a state in which a rule is broken. (The first that is found need not be one.)
pub fn refute(setup: &Setup) -> Checked {
    let mut found = check(setup, &[], 1, None);
    while let Some((_, actions, _)) = &found.broken {
        let shorter = check_within(setup, &[], 1, None, actions.len() + 1);
        if shorter.broken.is_none() {
            break;
        }
        found = Checked { took: found.took + shorter.took, states: found.states.max(shorter.states), ..shorter };
    }
    found
}

fn check_within(
    setup: &Setup,
    reaches: &[&'static str],
    threads: usize,
    at_most: Option<usize>,
    depth: usize,
) -> Checked {
    let began = Instant::now();
    let reached = Arc::new(AtomicU32::new(0));
    let walk = Walk { setup: setup.clone(), reached: reached.clone() };
    let mut builder = walk.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).target_max_depth(depth);
    if let Some(states) = at_most {
        builder = builder.target_state_count(states);
    }
    let checker = builder.spawn_bfs().join();
    let reached = reached.load(Ordering::Relaxed);
    let was_reached =
        |name: &str| REACHES.iter().enumerate().any(|(bit, (of, _))| *of == name && reached & (1 << bit) != 0);
    let unreached = reaches.iter().copied().filter(|name| !was_reached(name)).collect();
    // The shortest way; in a state where several rules are broken, the first in their order names it.
    let broken =
        checker.discoveries().into_iter().min_by_key(|(name, path)| (path.clone().into_states().len(), *name)).map(
            |(name, path)| {
                let actions = path.clone().into_actions();
                let last = path.last_state().clone();
                let name = properties::broken(setup, &last).unwrap_or(name);
                (name, actions, Box::new(last))
            },
        );
    Checked {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        complete: broken.is_none() && at_most.is_none_or(|most| checker.state_count() < most),
        broken,
        unreached,
    }
}
