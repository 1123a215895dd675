//! Larger worlds, by chance.

use model::setup::Mutant;
use model::simulate::walk;
use model::world::Seen;

const SEEDS: u64 = 600;

#[test]
fn many_gateways_and_faults_keep_every_rule() {
    let mut seen = Seen::default();
    for seed in 0..SEEDS {
        match walk(seed, None) {
            Ok(walked) => seen.and(&walked.seen),
            Err(broken) => panic!(
                "seed {seed}, step {}: {}; `make simulate SEED={seed}` shows it",
                broken.steps.len(),
                broken.rule
            ),
        }
    }
    let all = Seen {
        refused_by_gate: true,
        reclaimed: true,
        authorized_after_fence: true,
        late_usage: true,
        expired: true,
        repeat_dropped: true,
        released: true,
        new_generation: true,
        said_again: true,
    };
    assert_eq!(seen, all, "so many schedules reach everything");
}

#[test]
fn the_same_seed_walks_the_same_way() {
    let steps = |seed| walk(seed, None).map(|walked| walked.steps).expect("it keeps every rule");
    assert_eq!((0..20).map(steps).collect::<Vec<_>>(), (0..20).map(steps).collect::<Vec<_>>());
}

#[test]
fn chance_finds_broken_rules_too() {
    for mutant in [Mutant::NoGate, Mutant::CalledBeforeAcknowledgement, Mutant::RestUsedBeforeDeduction] {
        assert!((0..SEEDS).any(|seed| walk(seed, Some(mutant)).is_err()), "{mutant:?}");
    }
}
