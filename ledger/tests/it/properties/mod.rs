//! Whatever happens in whatever order, the ledger's tables are what plain maps say: the real writer on a real PostgreSQL,
//! without NATS, against a reference that knows nothing of the ledger's code.
//!
//! | file | is |
//! |---|---|
//! | `steps` | what may happen, drawn at random |
//! | `maps` | the reference: what it comes to, in plain maps |
//! | `writer` | the ledger's writer, told the same, and its tables compared |

mod maps;
mod steps;
mod writer;

use std::rc::Rc;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestError, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use self::steps::{Saying, Step, Story, Transition};
use self::writer::{DATABASES, Databases, Ledger};

/// As many stories as `make test` has the time for; `LAYERS_PROPERTY_CASES` says otherwise.
const CASES: u32 = 16;
/// Of a story.
const TRANSITIONS: std::ops::Range<usize> = 1..60;

#[test]
fn whatever_happens_the_tables_are_what_plain_maps_say() {
    let cases = std::env::var("LAYERS_PROPERTY_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let config = Config {
        cases,
        max_shrink_iters: 400,
        // Stories that failed once are told first, for ever.
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/properties/failed.seeds"))),
        ..Config::default()
    };
    let databases = Rc::new(Databases::start());
    DATABASES.set(Some(databases.clone()));
    let told = TestRunner::new(config.clone()).run(&Story::sequential_strategy(TRANSITIONS), |(first, story, seen)| {
        Ledger::test_sequential(config.clone(), first, story, seen);
        Ok::<(), TestCaseError>(())
    });
    DATABASES.set(None);
    println!("{} stories were told", databases.made());
    match told {
        Ok(()) => {}
        Err(TestError::Fail(why, (_, story, _))) => panic!("{why}; the shortest story: {story:#?}"),
        Err(error) => panic!("{error}"),
    }
}

/// A model that costs nothing is asked without a lease; what its provider bills all the same is the platform's loss, and
/// its hold ends. Found by the test above.
#[test]
fn a_hold_of_nothing_needs_no_lease_to_end() {
    let (life, account, request) = (1, 0, 0);
    let by = Saying { other_life: None, astray: None, comes: true };
    let story = vec![
        Transition::Batch(vec![Step::Register, Step::Authorize { life, account, hold: 0, comes: true }]),
        Transition::Batch(vec![Step::Use { request, tokens: 1_000, by }, Step::BeginFence { life }]),
        Transition::Batch(vec![Step::CloseGates { life, from: 0, to: 64 }, Step::Expire { request }]),
    ];
    tell(story);
}

/// A deduction may overtake its authorization where that is sent again. Its room below the key's cap is not promised to others
/// meanwhile: the charge would come on top of what these hold.
#[test]
fn what_is_deducted_before_it_is_authorized_keeps_its_room_below_the_cap() {
    let (life, account, request) = (0, 0, 0);
    let by = Saying { other_life: None, astray: None, comes: true };
    let reserve = |credits| Step::Reserve { life, account, credits, again: None, back: None };
    let story = vec![
        Transition::Batch(vec![reserve(20), Step::AuthorizeReserved { request, comes: false }]),
        Transition::Batch(vec![Step::Use { request, tokens: 8_000, by }, Step::Deduct { request, credits: 19, by }]),
        Transition::Batch(vec![reserve(20), Step::AllComeBackwards, reserve(11), reserve(10)]),
    ];
    tell(story);
}

/// A gateway's next life asks again for what its old one was promised: the fence of the old one does not take it back.
#[test]
fn what_is_promised_to_the_next_life_outlives_the_fence_of_the_old_one() {
    let (account, request) = (0, 0);
    let reserve = |life, again| Step::Reserve { life, account, credits: 20, again, back: None };
    let story = vec![
        Transition::Batch(vec![reserve(0, None), Step::BeginFence { life: 0 }, Step::Register]),
        Transition::Batch(vec![reserve(1, Some(request)), Step::CloseGates { life: 0, from: 0, to: 64 }]),
        Transition::Batch(vec![reserve(1, None), Step::AuthorizeReserved { request, comes: true }]),
    ];
    tell(story);
}

fn tell(story: Vec<Transition>) {
    DATABASES.set(Some(Rc::new(Databases::start())));
    let first = Story::init_state().new_tree(&mut TestRunner::default()).expect("a story begins").current();
    Ledger::test_sequential(Config::default(), first, story, None);
    DATABASES.set(None);
}
