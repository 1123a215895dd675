//! What a life does beside its requests. It has two tasks: one listens, one keeps house.
//!
//! The keeper, several times a second and whenever it is called:
//!
//! | duty | why |
//! |---|---|
//! | says again, in `seq` order, what was acknowledged over an older connection or in an older generation | the stream may have come back older or be another one; what this life says from now on builds on those events |
//! | then has its gates confirmed, after a reconnect | a stream that came back older may have forgotten that they were closed |
//! | says again what the ledger misses | acknowledged is not appended |
//! | asks again where the ledger's answer to a lease request never came | what it granted can be neither spent nor given back before it is known |
//! | gives back what is idle | other gateways may need it |
//! | when it is over and owes nothing: gives back the rest, and is forgotten | |

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use schemas::event::LeaseReturned;
use schemas::message::{Appended, Confirm, Confirmed, Recall, Recalled};
use schemas::money::Nanocredits;
use tokio::time::{MissedTickBehavior, interval};

use super::account::Account;
use super::deliver::{Order, deliver};
use super::life::Life;
use super::lives::Lives;
use super::outbox::Sealed;
use super::refill;
use super::register::Born;
use super::slot::Slot;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An acknowledgement of what is said again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);
/// In flight at a time, when much is said again.
const IN_FLIGHT: usize = 64;
/// The ledger speaks each second: heard so lately, it is there.
const HEARD_LATELY: Duration = Duration::from_secs(3);
/// Said again because the ledger misses it, a look: so that a ledger that is only slow is not flooded.
const RESENDS_A_LOOK: usize = 128;

/// Begins both tasks of a life.
pub(super) fn spawn(lives: &Arc<Lives>, born: Born) {
    let shared = born.life.shared.clone();
    shared.background.spawn_on(keep(lives.clone(), born.life.clone()), &shared.runtime);
    shared.background.spawn_on(listen(lives.clone(), born), &shared.runtime);
}

async fn listen(lives: Arc<Lives>, born: Born) {
    let Born { life, mut appended, mut recalls } = born;
    let mut look = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = life.shared.stop.cancelled() => return,
            Some(message) = appended.next() => {
                if let Ok(word) = serde_json::from_slice::<Appended>(&message.payload) {
                    let now = life.shared.now();
                    life.shared.appended(word.position);
                    life.let_go(|outbox| outbox.appended(word.through, &word.beyond, now));
                }
            }
            Some(message) = recalls.next() => {
                if let Ok(recall) = serde_json::from_slice::<Recall>(&message.payload) {
                    let returned_total = give_up(&life, &recall);
                    if let Some(reply) = message.reply {
                        life.shared.bus.say(reply, &Recalled { returned_total }).await;
                    }
                }
            }
            _ = look.tick() => {
                if life.is_over() && !lives.emitters().contains(&life.emitter) {
                    return;
                }
            }
        }
    }
}

async fn keep(lives: Arc<Lives>, life: Arc<Life>) {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = life.shared.bus.changes();
    loop {
        tokio::select! {
            () = life.shared.stop.cancelled() => return,
            () = life.kick.notified() => {}
            Ok(()) = changes.changed() => {}
            _ = look.tick() => {}
        }
        if life.shared.bus.is_connected() && say_again_what_is_outdated(&life).await {
            confirm(&life).await;
            say_again_what_is_missing(&life).await;
        }
        if life.is_over() {
            if owes_nothing(&life) && !give_back_all(&life) {
                return lives.forget(&life);
            }
        } else {
            look_after_accounts(&life);
        }
    }
}

/// True when nothing is outdated any longer.
async fn say_again_what_is_outdated(life: &Arc<Life>) -> bool {
    let era = life.shared.era();
    let outdated = life.outbox().outdated(era);
    if outdated.is_empty() {
        return true;
    }
    tracing::info!(emitter = %life.emitter, events = outdated.len(), "saying again what is not appended");
    say_again(life, outdated).await;
    life.outbox().is_current(life.shared.era())
}

async fn say_again_what_is_missing(life: &Arc<Life>) {
    let missing = life.outbox().missing(life.shared.now(), RESENDS_A_LOOK);
    if !missing.is_empty() {
        tracing::warn!(emitter = %life.emitter, events = missing.len(), first = missing[0].seq, "the ledger misses events");
        say_again(life, missing).await;
    }
}

/// In this order, up to the first that is not acknowledged: what follows may build on it.
async fn say_again(life: &Arc<Life>, events: Vec<Sealed>) {
    life.shared.metrics.resends.add(events.len() as u64);
    let send = |event: Sealed| {
        let life = life.clone();
        async move { life.send(&event, ACKNOWLEDGED_WITHIN).await }
    };
    let sending: Vec<_> = events.into_iter().map(send).collect();
    let mut sent = stream::iter(sending).buffered(IN_FLIGHT);
    while let Some(acknowledged) = sent.next().await {
        if let Err(error) = acknowledged {
            tracing::warn!(emitter = %life.emitter, %error, "an event that is said again is not acknowledged");
            return;
        }
    }
}

/// After a reconnect: are the gates still open?
async fn confirm(life: &Arc<Life>) {
    let connection = life.shared.bus.connection();
    if life.is_over() || life.confirmed_connection() == Some(connection) {
        return;
    }
    let question = Confirm { gateway: life.emitter, generation: life.generation };
    let subject = life.shared.cell.confirm();
    match life.shared.bus.ask::<Confirmed>(subject, &question, CONFIRMED_WITHIN).await {
        Ok(Ok(Confirmed { open: true })) => {
            tracing::info!(emitter = %life.emitter, "the gates are open");
            life.confirm(connection);
        }
        Ok(Ok(Confirmed { open: false })) => life.end("the ledger says that its gates are not open"),
        Ok(Err(refusal)) => tracing::warn!(%refusal, "the gates are not confirmed"),
        Err(silence) => tracing::warn!(%silence, "the gates are not confirmed"),
    }
}

fn owes_nothing(life: &Life) -> bool {
    life.running() == 0 && life.outbox().is_empty()
}

/// True if there was something to give back. Only called when all else is appended: a return that overtakes an
/// authorization that is said again would leave less in the lease than that takes.
fn give_back_all(life: &Arc<Life>) -> bool {
    life.accounts.all().iter().filter(|slot| give_back(life, slot, Nanocredits::MAX)).count() > 0
}

/// Asks again where in doubt, gives back what is idle, and counts what is leased: one walk over the accounts a look.
fn look_after_accounts(life: &Arc<Life>) {
    let now = life.shared.now();
    let ledger_is_there = life.shared.ledger_heard().is_some_and(|ago| ago <= HEARD_LATELY);
    let (mut leases, mut free) = (0, 0_i64);
    for slot in life.accounts.all() {
        if ledger_is_there && begins_asking_again(&slot, now) {
            refill::spawn(life, &slot);
        }
        give_back_by(life, &slot, |account| account.rest(now));
        let inner = slot.lock();
        let left = inner.account.lease.free().get();
        leases += i64::from(left > 0 || inner.account.lease.open_holds() > 0);
        free = free.saturating_add(left);
    }
    life.shared.metrics.leases_open.set(leases);
    life.shared.metrics.leased_nanocredits.set(free);
}

fn begins_asking_again(slot: &Slot, now: Duration) -> bool {
    let mut inner = slot.lock();
    inner.account.is_in_doubt() && inner.account.begin_asking(true, now)
}

/// Another gateway needs what this one does not use: gives it back, and tells what was given back in all.
fn give_up(life: &Arc<Life>, recall: &Recall) -> Nanocredits {
    let Some(slot) = life.accounts.find(recall.account_id) else { return Nanocredits::ZERO };
    give_back(life, &slot, recall.need);
    slot.lock().account.lease.returned_total()
}

/// Gives back at most so much of what is free; false if nothing is.
fn give_back(life: &Arc<Life>, slot: &Slot, at_most: Nanocredits) -> bool {
    give_back_by(life, slot, |account| account.give_back(at_most))
}

fn give_back_by(life: &Arc<Life>, slot: &Slot, by: impl FnOnce(&mut Account) -> Option<Nanocredits>) -> bool {
    // The event is made under the account's lock, so that totals and `seq` rise together.
    let mut inner = slot.lock();
    let Some(returned_total) = by(&mut inner.account) else { return false };
    let event = life.write(slot.account_id, slot.livemode, None, &LeaseReturned { returned_total });
    drop(inner);
    life.shared.metrics.lease_returns.add_one();
    let (shared, life) = (life.shared.clone(), life.clone());
    shared.background.spawn_on(async move { deliver(&life, &event, Order::InTurn).await }, &shared.runtime);
    true
}
