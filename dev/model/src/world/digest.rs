//! When two worlds are the same: whatever is only a matter of the order in which it came about is left out.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use ledger::append::State;
use schemas::books::Ending;

use super::said::{emitter, life_of};
use super::{Stored, World};

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.budget.hash(hasher);
        self.ledger_digest.hash(hasher);
        (self.suspicious, &self.gateways, &self.requests, &self.answers, &self.lost, &self.parked).hash(hasher);
        self.broken.hash(hasher);
        for of in &self.lives {
            (of.gateway, of.generation, &of.account, &of.gates, &of.outbox, of.next_seq).hash(hasher);
            (of.over, of.confirmed, of.question, of.reply, &of.owed, of.dead, of.forgotten).hash(hasher);
        }
        self.hash_stream(hasher);
    }
}

impl World {
    fn hash_stream<H: Hasher>(&self, hasher: &mut H) {
        let Some(stream) = &self.stream else { return };
        let place = self.ledger.head.stream_seq;
        stream.generation.hash(hasher);
        // What was read matters only while an older copy of it can come back.
        let from = if self.budget.losses > 0 || self.suspicious { 0 } else { place };
        (stream.last() as i64 - place as i64).hash(hasher);
        for message in stream.messages.iter().skip(from as usize) {
            message.hash(hasher);
        }
        for (life, of) in self.lives.iter().enumerate() {
            for (k, expected) in of.expected.iter().enumerate() {
                (stream.last_of_gate(life, k as u16) == *expected).hash(hasher);
            }
        }
        for flight in &self.flights {
            let gate = flight.gate.map(|(k, expected)| (k, stream.last_of_gate(flight.said.life, k) == expected));
            (&flight.said, gate, flight.generation, flight.connection, flight.stray).hash(hasher);
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail: Vec<&Stored> = self.stream.iter().flat_map(|stream| &stream.messages).collect();
        f.debug_struct("World")
            .field("account", &self.ledger.books.accounts.values().next())
            .field("leases", &self.ledger.books.leases)
            .field("holds", &self.ledger.books.holds)
            .field("on_record", &self.on_record())
            .field("read", &self.ledger.head.stream_seq)
            .field("stream", &tail)
            .field("lives", &self.lives)
            .field("requests", &self.requests)
            .field("flights", &self.flights)
            .field("answers", &self.answers)
            .field("gateways", &self.gateways)
            .field("lost", &self.lost)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        let of = |world: &Self| {
            let mut hasher = DefaultHasher::new();
            world.hash(&mut hasher);
            hasher.finish()
        };
        of(self) == of(other)
    }
}

/// What of the ledger's state matters: not positions, and not its own counter.
pub(super) fn of_ledger(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    let books = &state.books;
    for account in books.accounts.values() {
        (account.bought, account.unleased, account.leased, account.held, account.charged, account.lost)
            .hash(&mut hasher);
    }
    let mut leases: Vec<_> = books.leases.iter().collect();
    leases.sort_unstable_by_key(|(key, _)| **key);
    for ((gateway, _), lease) in leases {
        (gateway, lease.granted, lease.returned, lease.charged, lease.held, lease.closed).hash(&mut hasher);
    }
    let mut holds: Vec<_> = books.holds.values().collect();
    holds.sort_unstable_by_key(|hold| hold.request_id);
    for hold in holds {
        let slots = &hold.slots;
        let ending = slots.ending.map(|ending| match ending {
            Ending::Deducted(claim) => (0, claim.get()),
            Ending::Released => (1, 0),
            Ending::Expired => (2, 0),
        });
        let authorization = slots.authorization.map(|authorization| (authorization.hold, authorization.counts));
        (hold.request_id, hold.gateway, authorization, slots.usage, ending, slots.charged).hash(&mut hasher);
    }
    let mut emitters: Vec<_> = books.emitters.iter().filter(|(emitter, _)| life_of(**emitter).is_some()).collect();
    emitters.sort_unstable_by_key(|(emitter, _)| **emitter);
    for (emitter, known) in emitters {
        (emitter, known.seen.ranges(), known.never.ranges(), known.fenced).hash(&mut hasher);
    }
    for life in 0.. {
        // Lives are numbered without gaps, and the ledger knows each until it is over.
        let Some(on_record) = state.lives.get(&emitter(life)) else {
            if life >= books.emitters.len() + state.lives.len() {
                break;
            }
            continue;
        };
        (life, on_record.generation, on_record.state as u8, on_record.closed_gates).hash(&mut hasher);
    }
    (state.head.generation, state.own.emitter, state.quarantined.len()).hash(&mut hasher);
    hasher.finish()
}
