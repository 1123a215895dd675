//! A request's row is the same, in whichever order its three events were read.

use projector::fold::Request;
use proptest::prelude::*;
use schemas::event::{Event, ReleaseReason};
use schemas::tier::Tier;

use crate::kit::{Shelf, Story, credits};

#[derive(Clone, Copy, Debug)]
enum Ending {
    Deducted,
    Released,
    ClientGone,
    Expired,
}

/// A log whose last three events are a request's, and those three in another order.
fn row_of(ending: Ending, hold: i64, tokens: u64, order: [usize; 3], batch: usize) -> (Request, [i64; 4]) {
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(100));
    let request = story.request();
    let before = story.events.len();
    story.authorizes(account, request, None, credits(hold));
    story.uses(account, request, tokens, tokens / 3);
    match ending {
        Ending::Deducted => story.deducts(account, request, credits(0)),
        Ending::Released => story.releases(account, request, ReleaseReason::ProviderFailed),
        Ending::ClientGone => story.releases(account, request, ReleaseReason::ClientGone),
        Ending::Expired => story.expires(account, request),
    }
    let of_request = story.events.split_off(before);
    let ordered: Vec<Event> =
        story.events.into_iter().chain(order.iter().map(|index| of_request[*index].clone())).collect();
    let mut shelf = Shelf::of(&ordered, batch);
    let mut row = shelf.requests.remove(&request.0).unwrap();
    // Only of these two stories' own ids and times the rows know.
    (row.request_id, row.account_id) = Default::default();
    (row, shelf.accounts.remove(&account.0).unwrap())
}

proptest! {
    #[test]
    fn a_row_does_not_depend_on_the_order_of_its_events(
        ending in prop::sample::select(vec![Ending::Deducted, Ending::Released, Ending::ClientGone]),
        hold in 0_i64..10, tokens in 0_u64..20_000, batch in 1_usize..4,
        order in Just([0, 1, 2]).prop_shuffle(),
    ) {
        prop_assert_eq!(
            row_of(ending, hold, tokens, order, batch),
            row_of(ending, hold, tokens, [0, 1, 2], usize::MAX)
        );
    }

    #[test]
    fn a_usage_that_comes_after_the_expiry_is_told_and_not_charged(hold in 1_i64..10, tokens in 1_u64..20_000) {
        let (settled, _) = row_of(Ending::Expired, hold, tokens, [0, 1, 2], 1);
        let (late, [_, charged, held, _]) = row_of(Ending::Expired, hold, tokens, [0, 2, 1], 1);
        prop_assert_eq!((charged, held), (0, 0));
        prop_assert!(settled.slots.charged.is_some() && late.slots.charged.is_none());
        prop_assert_eq!(settled.facts, late.facts);
    }
}
