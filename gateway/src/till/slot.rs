use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};
use schemas::ids::{AccountId, RequestId};
use tokio::sync::oneshot;

use super::account::{Account, Verdict, Word};

/// One account in one life, with those who wait for a verdict.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) account_id: AccountId,
    pub(super) livemode: bool,
    inner: Mutex<Inner>,
}

/// Held for a few instructions, never across an await.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) account: Account,
    tickets: HashMap<RequestId, oneshot::Sender<Verdict>>,
    curious: Vec<oneshot::Sender<Option<Word>>>,
}

impl Slot {
    pub(super) fn new(account_id: AccountId, livemode: bool) -> Self {
        Self { account_id, livemode, inner: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

impl Inner {
    /// A place in the queue. Whoever drops it must call [`Inner::leave`].
    pub(super) fn ticket(&mut self, request: RequestId) -> oneshot::Receiver<Verdict> {
        let (sender, receiver) = oneshot::channel();
        self.tickets.insert(request, sender);
        receiver
    }

    /// Tells who waited. It happens under the lock, so that a ticket is either in the queue or has its verdict.
    pub(super) fn tell(&mut self, verdicts: Vec<(RequestId, Verdict)>) {
        for (request, verdict) in verdicts {
            if let Some(ticket) = self.tickets.remove(&request) {
                let _ = ticket.send(verdict);
            }
        }
    }

    /// Serves those whose turn it is, after credits came free.
    pub(super) fn serve(&mut self) {
        let verdicts = self.account.serve();
        self.tell(verdicts);
    }

    /// Gives up a place in the queue, or what was served to it.
    pub(super) fn leave(&mut self, request: RequestId, receiver: &mut oneshot::Receiver<Verdict>) {
        if self.tickets.remove(&request).is_some() {
            self.account.leaves(request);
        } else if let Ok(Verdict::Taken) = receiver.try_recv() {
            let put_back = self.account.lease.put_back(request);
            debug_assert!(put_back.is_ok());
        }
        self.serve();
    }

    /// Wants to know the ledger's next word.
    pub(super) fn wonder(&mut self) -> oneshot::Receiver<Option<Word>> {
        let (sender, receiver) = oneshot::channel();
        self.curious.push(sender);
        receiver
    }

    /// Somebody wants to know the ledger's next word.
    pub(super) fn is_curious(&self) -> bool {
        !self.curious.is_empty()
    }

    /// Tells those who wonder.
    pub(super) fn answer(&mut self, word: Option<Word>) {
        for curious in self.curious.drain(..) {
            let _ = curious.send(word);
        }
    }
}
