//! The projector comes to exactly the ledger's balances, whatever happened, and however the log is cut into batches.

use proptest::prelude::*;

use crate::kit::{Shelf, log_of, steps};

proptest! {
    #[test]
    fn balances_and_charges_are_those_of_the_books(steps in steps(200), batch in 1_usize..40) {
        let (log, books) = log_of(&steps);
        let shelf = Shelf::of(&log, batch);
        prop_assert_eq!(shelf.accounts.len(), books.accounts.len());
        for (id, account) in &books.accounts {
            let should = [account.bought, account.charged, account.held, account.lost].map(|amount| amount.get());
            prop_assert_eq!(shelf.accounts[&id.0], should);
        }
        prop_assert_eq!(shelf.requests.len(), books.holds.len());
        for (id, hold) in &books.holds {
            let request = &shelf.requests[&id.0];
            prop_assert_eq!(request.slots, hold.slots);
            prop_assert_eq!(request.account_id, hold.account_id.0);
        }
    }

    #[test]
    fn batches_of_any_size_give_the_same_rows(steps in steps(200), batch in 1_usize..40) {
        let (log, _) = log_of(&steps);
        let (one, other) = (Shelf::of(&log, batch), Shelf::of(&log, usize::MAX));
        prop_assert_eq!(one.requests, other.requests);
        prop_assert_eq!(one.accounts, other.accounts);
        prop_assert_eq!(one.daily, other.daily);
    }

    #[test]
    fn days_are_the_sums_of_requests_that_have_ended(steps in steps(200), batch in 1_usize..40) {
        let (log, _) = log_of(&steps);
        let shelf = Shelf::of(&log, batch);
        let ended: Vec<_> = shelf.requests.values().filter(|request| request.slots.has_ended()).collect();
        let charged: i64 = ended.iter().map(|request| request.charged().get()).sum();
        prop_assert_eq!(shelf.daily.values().map(|daily| daily.requests).sum::<i64>(), ended.len() as i64);
        prop_assert_eq!(shelf.daily.values().map(|daily| daily.credits_used.get()).sum::<i64>(), charged);
        let cost: i64 = ended.iter().map(|request| request.facts.cost_usd.get()).sum();
        prop_assert_eq!(shelf.daily.values().map(|daily| daily.cost_usd.get()).sum::<i64>(), cost);
    }
}
