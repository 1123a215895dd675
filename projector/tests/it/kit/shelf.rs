//! The tables, in memory: takes what the pure core says has changed.

use std::collections::{BTreeMap, HashMap};

use chrono::DateTime;
use projector::fold::{Batch, Changes, Entry, Memory, Request, Standing};
use projector::rollup::{Sums, UsageSums, usage_by_day};
use schemas::event::Event;
use schemas::money::Nanocredits;
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Shelf {
    memory: Memory,
    position: i64,
    pub(crate) requests: HashMap<Uuid, Request>,
    /// Bought, charged, held, lost.
    pub(crate) accounts: HashMap<Uuid, [i64; 4]>,
    pub(crate) daily: BTreeMap<usage_by_day::Key, UsageSums>,
    pub(crate) journal: Vec<Entry>,
}

impl Shelf {
    /// Applies events in batches of a size.
    pub(crate) fn of(events: &[Event], batch: usize) -> Self {
        let mut shelf = Self::default();
        for events in events.chunks(batch) {
            shelf.apply(events);
        }
        shelf
    }

    pub(crate) fn apply(&mut self, events: &[Event]) {
        let ids = events.iter().filter_map(|event| event.header.request_id);
        let known: HashMap<_, _> =
            ids.filter_map(|id| self.requests.get(&id.0).map(|request| (id, request.clone()))).collect();
        let standing = |[bought, charged, held, _]: &[i64; 4]| Standing {
            balance: Nanocredits::new(bought - charged),
            held: Nanocredits::new(*held),
        };
        let standings = self.accounts.iter().map(|(id, sums)| (*id, standing(sums))).collect();
        let mut batch = Batch::new(&mut self.memory, known.into_values().collect(), standings);
        for event in events {
            self.position += 1;
            batch.take(self.position, DateTime::UNIX_EPOCH, event).unwrap();
        }
        let changes = batch.finish().unwrap();
        self.put(changes);
    }

    fn put(&mut self, changes: Changes) {
        for account in changes.opened {
            self.accounts.insert(account.account_id, [0; 4]);
        }
        for (id, change) in changes.accounts {
            let account = self.accounts.get_mut(&id).expect("the account was opened");
            let deltas = [change.bought, change.charged, change.held, change.lost];
            account.iter_mut().zip(deltas).for_each(|(sum, delta)| *sum += delta.get());
        }
        self.journal.extend(changes.journal);
        for request in changes.requests {
            self.requests.insert(request.request_id, request);
        }
        for (key, delta) in changes.rollups.usage_by_day.0 {
            let sum = self.daily.entry(key).or_default();
            *sum = sum.plus(&delta, 1).unwrap();
        }
        self.daily.retain(|_, daily| daily.requests != 0);
    }
}
