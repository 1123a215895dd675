//! Every state of each small world keeps every rule, and what the world is for is reached.

use model::check::check;
use model::worlds::small_worlds;

fn keeps_every_rule(name: &str) {
    let world = small_worlds().into_iter().find(|world| world.name == name).expect("a world of that name");
    let checked = check(&world.setup, world.reaches, 1, None);
    if let Some((rule, actions, last)) = checked.broken {
        panic!("{name}: {rule}\n{actions:#?}\n{last:#?}");
    }
    assert!(checked.complete && checked.unreached.is_empty(), "never reached: {:?}", checked.unreached);
}

macro_rules! worlds {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            keeps_every_rule($name);
        })*

        #[test]
        fn no_world_is_left_out() {
            assert_eq!(small_worlds().iter().map(|world| world.name).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

worlds! {
    a_fence_at_any_moment: "a fence at any moment",
    a_crash: "a crash",
    a_fence_and_what_is_sent_again: "a fence, and what is sent again",
    the_rest_of_a_hold: "the rest of a hold",
    a_lost_stream: "a lost stream",
    a_settlement_that_comes_late: "a settlement that comes late",
    lost_replies_purged_gates_a_new_ledger: "lost replies, purged gates, a new ledger",
}
