//! The worlds that are checked: each is small, and together they cover what DESIGN promises.

use crate::setup::{Faults, Mutant, Setup};

/// A world with a name, and what it must reach.
pub struct Named {
    /// For people.
    pub name: &'static str,
    /// The world.
    pub setup: Setup,
    /// What it must reach.
    pub reaches: &'static [&'static str],
}

const NONE: Faults = Faults {
    crashes: 0,
    fences: 0,
    lost_acknowledgements: 0,
    lost_messages: 0,
    repeats: 0,
    impatience: 0,
    lost_replies: 0,
    lost_words: 0,
    restarts: 0,
    reconnects: 0,
    losses: 0,
    returns: 0,
    early_expiries: 0,
    purges: 0,
    provider_failures: 0,
};

/// Two requests of two gateways that need all there is, each.
fn two(faults: Faults) -> Setup {
    Setup { gateways: 2, lives: 3, gates: 1, bought: 2, holds: vec![2, 2], costs: vec![2], faults, mutant: None }
}

/// One gateway, which may begin a second life.
fn one(faults: Faults) -> Setup {
    Setup { gateways: 1, lives: 2, ..two(faults) }
}

/// Those that `make test` checks.
pub fn small_worlds() -> Vec<Named> {
    vec![
        Named {
            name: "a fence at any moment",
            setup: Setup { lives: 2, ..two(Faults { fences: 1, ..NONE }) },
            reaches: &["an answer that was paid for", "quiet", "a gate that refuses", "a fence", "a release"],
        },
        Named {
            name: "a crash",
            setup: Setup { lives: 2, ..two(Faults { crashes: 1, ..NONE }) },
            reaches: &["quiet", "a fence", "an expiry", "a gate that refuses"],
        },
        Named {
            name: "a fence, and what is sent again",
            setup: Setup {
                holds: vec![2],
                ..one(Faults { fences: 1, repeats: 1, lost_acknowledgements: 1, impatience: 1, ..NONE })
            },
            reaches: &["quiet", "a gate that refuses", "a repeat"],
        },
        Named {
            name: "the rest of a hold",
            setup: Setup { bought: 3, costs: vec![1, 3], ..two(Faults { returns: 1, ..NONE }) },
            reaches: &["quiet", "an answer that was paid for"],
        },
        Named {
            name: "a lost stream",
            setup: Setup { holds: vec![2], ..one(Faults { losses: 1, ..NONE }) },
            reaches: &["quiet", "another generation", "something said again"],
        },
        Named {
            name: "a settlement that comes late",
            setup: one(Faults { fences: 1, early_expiries: 1, ..NONE }),
            reaches: &["quiet", "an expiry", "a late usage"],
        },
        Named {
            name: "lost replies, purged gates, a new ledger",
            setup: Setup {
                holds: vec![2],
                ..one(Faults { fences: 1, lost_replies: 1, purges: 1, restarts: 1, ..NONE })
            },
            reaches: &["quiet", "a fence"],
        },
    ]
}

/// Those that take longer.
pub fn large_worlds() -> Vec<Named> {
    vec![
        Named {
            name: "large: a lost stream and a fence",
            setup: one(Faults { losses: 1, fences: 1, ..NONE }),
            reaches: &["quiet", "another generation", "something said again"],
        },
        Named {
            name: "large: a fence and a crash",
            setup: Setup { lives: 2, ..two(Faults { fences: 1, crashes: 1, ..NONE }) },
            reaches: &["quiet", "an expiry", "a gate that refuses"],
        },
        Named {
            name: "large: a fence, and answers that are lost",
            setup: Setup { lives: 2, ..two(Faults { fences: 1, lost_acknowledgements: 1, impatience: 1, ..NONE }) },
            reaches: &["quiet", "a gate that refuses", "a repeat"],
        },
        Named {
            name: "large: three requests, a return and a fence",
            setup: Setup {
                bought: 4,
                holds: vec![2, 2, 2],
                costs: vec![1, 3],
                ..two(Faults { returns: 1, fences: 1, ..NONE })
            },
            reaches: &["a fence", "an answer that was paid for"],
        },
    ]
}

/// The smallest world in which a broken rule shows.
pub fn of_mutant(mutant: Mutant) -> Setup {
    let fence = Faults { fences: 1, ..NONE };
    let setup = match mutant {
        Mutant::NoGate
        | Mutant::LifeGoesOnAfterItsFence
        | Mutant::CalledBeforeAcknowledgement
        | Mutant::ReclaimBeforeReadBack
        | Mutant::UsageAfterDeductionIsLate => two(fence),
        Mutant::UndecidedSentWithoutGate => two(Faults { repeats: 1, ..fence }),
        Mutant::GateExpectsZero => Setup { gates: 2, ..one(Faults { purges: 1, ..fence }) },
        Mutant::StreamUnderItsOldName => Setup { gates: 2, holds: vec![2], ..one(Faults { losses: 1, ..NONE }) },
        Mutant::RestUsedBeforeDeduction => Setup { bought: 3, costs: vec![1], ..one(NONE) },
        Mutant::ReturnCountedAfterFence => two(Faults { returns: 1, ..fence }),
        Mutant::ChargeNotCapped => Setup { costs: vec![3], ..one(NONE) },
        Mutant::EventsAppliedTwice => one(Faults { repeats: 1, lost_words: 1, ..NONE }),
        Mutant::NamedAsMissingIsForgotten => one(Faults { repeats: 1, ..fence }),
        Mutant::HolesHoldBack => Setup { gates: 2, bought: 4, ..one(fence) },
    };
    setup.with(mutant)
}
