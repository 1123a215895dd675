//! Many larger worlds, each walked once by chance. The same seed walks the same way.

use crate::properties;
use crate::setup::{Faults, Mutant, Setup};
use crate::world::{Action, Seen, World};

/// Steps in which things go wrong, before all comes to rest.
const STEPS: usize = 600;
/// One in so many.
const SELDOM: usize = 10;
/// Steps within which all must be at rest then.
const MOST: usize = 20_000;

/// SplitMix64: small, and its whole state is its seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most + 1 - least)
    }
}

/// How a schedule went.
#[derive(Debug)]
pub struct Walked {
    /// Steps taken.
    pub steps: usize,
    /// Requests that were answered.
    pub answered: usize,
    /// What happened.
    pub seen: Seen,
}

/// A rule that was broken.
#[derive(Debug)]
pub struct Broken {
    /// Which.
    pub rule: &'static str,
    /// What was done, in order.
    pub steps: Vec<Action>,
    /// Where it was seen.
    pub world: Box<World>,
}

/// The world of a seed.
fn setup(chance: &mut Chance, mutant: Option<Mutant>) -> Setup {
    let gateways = chance.between(2, 6);
    let requests = chance.between(4, 40);
    let largest = chance.between(1, 12) as i64;
    let holds: Vec<i64> = (0..requests).map(|_| chance.between(1, largest as usize) as i64).collect();
    let all: i64 = holds.iter().sum();
    let mut often = |most: usize| chance.below(most + 1) as u8;
    let faults = Faults {
        crashes: often(3),
        fences: often(4),
        lost_acknowledgements: often(12),
        lost_messages: often(6),
        repeats: often(12),
        impatience: often(6),
        lost_replies: often(6),
        lost_words: often(12),
        restarts: often(3),
        reconnects: often(4),
        losses: often(2),
        returns: often(12),
        early_expiries: often(4),
        purges: often(6),
        provider_failures: often(4),
    };
    Setup {
        gateways,
        lives: gateways + chance.between(2, 12),
        gates: chance.between(1, 4) as u16,
        bought: (all * chance.between(10, 130) as i64 / 100).max(1),
        holds,
        costs: (0..=largest + 2).collect(),
        faults,
        mutant,
    }
}

/// What goes wrong is drawn more seldom than what goes on.
fn choose(chance: &mut Chance, actions: &[Action]) -> Action {
    for _ in 0..SELDOM {
        let action = actions[chance.below(actions.len())];
        if !action.goes_wrong() || chance.below(SELDOM) == 0 {
            return action;
        }
    }
    actions[chance.below(actions.len())]
}

/// Walks the world of a seed to its end. Every rule is asked after every step.
pub fn walk(seed: u64, mutant: Option<Mutant>) -> Result<Walked, Broken> {
    let mut chance = Chance(seed);
    let setup = setup(&mut chance, mutant);
    let mut world = World::new(&setup);
    let mut steps = Vec::new();
    let mut actions = Vec::new();
    while !world.is_at_rest() {
        if steps.len() == STEPS {
            // From here on nothing goes wrong any more: all must come to rest.
            world.budget = Faults::default();
        }
        actions.clear();
        world.actions(&setup, &mut actions);
        if actions.is_empty() || steps.len() > MOST {
            return Err(Broken { rule: "all comes to rest", steps, world: Box::new(world) });
        }
        let action = choose(&mut chance, &actions);
        steps.push(action);
        world.step(&setup, action);
        if let Some(rule) = properties::broken(&setup, &world) {
            return Err(Broken { rule, steps, world: Box::new(world) });
        }
    }
    let answered = world.requests.iter().filter(|request| request.answered).count();
    Ok(Walked { steps: steps.len(), answered, seen: world.seen })
}
