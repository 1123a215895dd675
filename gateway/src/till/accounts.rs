use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use schemas::ids::AccountId;

use super::slot::Slot;

/// So that accounts seldom wait for each other.
const SHARDS: usize = 32;

/// The accounts that were served in one life. They are kept as long as the life: their totals must not begin anew in it.
#[derive(Debug)]
pub(super) struct Accounts {
    shards: [RwLock<HashMap<AccountId, Arc<Slot>>>; SHARDS],
    closed: AtomicBool,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), closed: AtomicBool::new(false) }
    }
}

impl Accounts {
    /// The account's place, made at the first request.
    pub(super) fn slot(&self, account_id: AccountId, livemode: bool) -> Arc<Slot> {
        // The last byte of a UUIDv7 is random.
        let shard = &self.shards[usize::from(account_id.0.as_bytes()[15]) % SHARDS];
        if let Some(slot) = shard.read().get(&account_id) {
            return slot.clone();
        }
        let mut slots = shard.write();
        let make = || {
            let slot = Slot::new(account_id, livemode);
            // Under the shard's lock: either `close` comes later and finds it, or it is seen here.
            if self.closed.load(Ordering::SeqCst) {
                slot.lock().account.close();
            }
            Arc::new(slot)
        };
        slots.entry(account_id).or_insert_with(make).clone()
    }

    /// The account's place, if there is one.
    pub(super) fn find(&self, account_id: AccountId) -> Option<Arc<Slot>> {
        self.shards[usize::from(account_id.0.as_bytes()[15]) % SHARDS].read().get(&account_id).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Slot>> {
        self.shards.iter().flat_map(|shard| shard.read().values().cloned().collect::<Vec<_>>()).collect()
    }

    /// Nobody takes anything any longer; those who wait are told.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for slot in self.all() {
            let mut inner = slot.lock();
            let verdicts = inner.account.close();
            inner.tell(verdicts);
            inner.answer(None);
        }
    }
}
