//! What holds in every state. DESIGN's promises, in the words of the books and of the world's own memory of what happened.

use std::collections::HashMap;

use schemas::books::Ending;
use schemas::money::Nanocredits;

use crate::setup::Setup;
use crate::world::{ACCOUNT, Phase, World, emitter, request_id};

/// What holds, by name.
pub type Rule = (&'static str, fn(&Setup, &World) -> bool);

/// All of it.
pub const ALWAYS: [Rule; 8] = [
    ("the account adds up and is never charged more than it bought", adds_up),
    ("leases and holds are what the account says of them", parts_add_up),
    ("no provider is called for money that is not set aside", backed),
    ("a hold ends once", ends_once),
    ("no gateway believes in more than its lease has", believes_no_more),
    ("an answered request is charged once, exactly, when all is delivered", charged_exactly),
    ("nothing happens that must not", not_broken),
    ("when all is quiet nothing is leased or held", quiet_is_balanced),
];

/// The name of the first rule that does not hold.
pub fn broken(setup: &Setup, world: &World) -> Option<&'static str> {
    let (name, _) = ALWAYS.iter().find(|(_, holds)| !holds(setup, world))?;
    Some(world.broken.filter(|_| *name == ALWAYS[6].0).unwrap_or(name))
}

fn adds_up(setup: &Setup, world: &World) -> bool {
    world.ledger.books.accounts.get(&ACCOUNT).is_some_and(|account| {
        account.adds_up() && account.bought.get() <= setup.bought && account.charged <= account.bought
    })
}

fn parts_add_up(_: &Setup, world: &World) -> bool {
    let books = &world.ledger.books;
    let Some(account) = books.accounts.get(&ACCOUNT) else { return false };
    let leases = || books.leases.values();
    let free: i64 = leases().map(|lease| lease.free().map_or(i64::MIN / 8, Nanocredits::get)).sum();
    let held: i64 = leases().map(|lease| lease.held.get()).sum();
    let charged: i64 = leases().map(|lease| lease.charged.get()).sum();
    let slots: i64 = books.holds.values().map(|hold| hold.slots.held().get()).sum();
    let by_request: i64 = books.holds.values().filter_map(|hold| hold.slots.charged).map(Nanocredits::get).sum();
    let none_below_zero = leases().all(|lease| lease.free().is_ok_and(|free| !free.is_negative()));
    none_below_zero
        && free == account.leased.get()
        && held == account.held.get()
        && slots == held
        && charged == account.charged.get()
        && by_request == charged
}

/// What providers bill, as far as holds cover it, of all requests whose hold has not expired without a usage.
fn backed(setup: &Setup, world: &World) -> bool {
    let mut worth = 0;
    for (request, of) in world.requests.iter().enumerate() {
        let slots = world.ledger.books.holds.get(&request_id(request)).map(|hold| hold.slots);
        let expired = slots.is_some_and(|slots| slots.ending == Some(Ending::Expired) && slots.charged.is_none());
        if of.called && !of.excused && !expired {
            let hold = setup.holds[request];
            worth += of.cost.map_or(hold, |cost| cost.min(hold));
        }
    }
    worth <= setup.bought
}

fn ends_once(_: &Setup, world: &World) -> bool {
    let adjusted = late(world);
    world.ledger.books.holds.iter().all(|(id, hold)| {
        let slots = &hold.slots;
        let charged_by_hold = slots.charged.is_none_or(|charged| {
            slots.authorization.is_some_and(|authorization| charged <= authorization.hold)
                && slots.usage.is_some()
                && slots.ending != Some(Ending::Released)
        });
        charged_by_hold && !(slots.charged.is_some() && adjusted.contains_key(&id.to_string()))
    })
}

/// What was taken for late usages, by request.
fn late(world: &World) -> HashMap<String, i64> {
    let references = world.ledger.books.references.iter();
    let late = references.filter_map(|((_, reference), of)| {
        reference.strip_prefix("late-usage:").map(|request| (request.to_owned(), of.amount.get()))
    });
    late.collect()
}

/// Once the ledger has read all, what a life could take is there to be taken.
fn believes_no_more(_: &Setup, world: &World) -> bool {
    if !world.caught_up() {
        return true;
    }
    world.lives.iter().enumerate().all(|(life, of)| {
        let on_record = world.ledger.lives.contains_key(&emitter(life));
        if of.dead || !on_record || !of.outbox.is_current(world.era(life)) {
            return true;
        }
        let lease = world.ledger.books.leases.get(&(emitter(life), ACCOUNT));
        let there = lease.map_or(Ok(Nanocredits::ZERO), |lease| lease.free());
        there.is_ok_and(|there| of.account.lease.free() <= there)
    })
}

fn charged_exactly(setup: &Setup, world: &World) -> bool {
    if !world.flights.is_empty() || !world.caught_up() {
        return true;
    }
    let adjusted = late(world);
    world.requests.iter().enumerate().all(|(request, of)| {
        let said_again =
            of.life.is_some_and(|life| world.lives[life].dead || world.lives[life].outbox.is_current(world.era(life)));
        if !of.answered || of.excused || !said_again {
            return true;
        }
        let due = of.cost.map_or(0, |cost| cost.min(setup.holds[request]));
        let hold = world.ledger.books.holds.get(&request_id(request));
        let slots = hold.map(|hold| hold.slots).unwrap_or_default();
        match slots.charged {
            Some(charged) => charged.get() == due,
            // Expired before its last events came: taken from what was free, the rest is the platform's.
            None => {
                let is_late = slots.ending == Some(Ending::Expired) && setup.faults.early_expiries > 0;
                is_late && adjusted.get(&request_id(request).to_string()).is_some_and(|paid| -paid <= due)
            }
        }
    })
}

fn not_broken(_: &Setup, world: &World) -> bool {
    world.broken.is_none()
}

fn quiet_is_balanced(_: &Setup, world: &World) -> bool {
    if !world.is_quiet() {
        return true;
    }
    let open = |phase| matches!(phase, Phase::Sent(_) | Phase::Called | Phase::Settling(_) | Phase::Releasing);
    let account = &world.ledger.books.accounts[&ACCOUNT];
    account.leased == Nanocredits::ZERO
        && account.held == Nanocredits::ZERO
        && !world.requests.iter().any(|request| open(request.phase))
}
