//! Takes a hold from a lease. In memory where the lease has enough; else the ledger is asked, once for all who wait.

use std::sync::Arc;

use schemas::ids::RequestId;
use tokio::sync::oneshot;

use super::account::{Asked, Verdict};
use super::caller::Caller;
use super::life::Life;
use super::open_request::OpenRequest;
use super::refill;
use super::refused::Refused;
use super::slot::Slot;
use super::to_authorize::ToAuthorize;

/// Why a life does not serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declined {
    /// It is over, and nothing was published: the next life may.
    LifeIsOver,
    /// For the client.
    Refused(Refused),
}

/// Takes the request's hold. Dropping the future gives back whatever was taken.
pub(super) async fn take(
    life: &Arc<Life>,
    caller: &Caller,
    request: &ToAuthorize,
) -> Result<Box<OpenRequest>, Declined> {
    let slot = life.accounts.slot(caller.account_id, caller.livemode);
    let (request_id, needed) = (request.request_id, request.hold);
    let now = life.shared.now();
    let (asked, ticket, ask_ledger) = {
        let mut inner = slot.lock();
        let asked = inner.account.ask(request_id, needed, now);
        let ticket = (asked == Asked::Waits).then(|| inner.ticket(request_id));
        (asked, ticket, inner.account.begin_asking(false, now))
    };
    if ask_ledger {
        refill::spawn(life, &slot);
    }
    let verdict = match (asked, ticket) {
        (Asked::Taken, _) => Verdict::Taken,
        (_, Some(receiver)) => {
            let verdict = Ticket { slot: &slot, request: request_id, receiver }.verdict().await;
            let waited = life.shared.now().saturating_sub(now);
            life.shared.metrics.credit_waits.add_one();
            life.shared.metrics.credit_wait_us.add(u64::try_from(waited.as_micros()).unwrap_or(0));
            verdict
        }
        (_, None) => Verdict::Closed,
    };
    match verdict {
        Verdict::Taken => {
            life.begin_request();
            let (life, request) = (life.clone(), request.clone());
            Ok(Box::new(OpenRequest { life, slot, api_key_id: caller.api_key_id, request }))
        }
        Verdict::Closed => Err(Declined::LifeIsOver),
        Verdict::NoAnswer => Err(Declined::Refused(Refused::unavailable("the ledger does not answer in time"))),
        Verdict::Insufficient(word) => {
            let (available, held) = (word.available, word.held);
            Err(Declined::Refused(Refused::InsufficientCredits { needed, available, held }))
        }
        Verdict::Held(word) => {
            let (available, held) = (word.available, word.held);
            Err(Declined::Refused(Refused::CreditsHeld { needed, available, held }))
        }
    }
}

/// A place in an account's queue; left when dropped.
struct Ticket<'a> {
    slot: &'a Slot,
    request: RequestId,
    receiver: oneshot::Receiver<Verdict>,
}

impl Ticket<'_> {
    async fn verdict(mut self) -> Verdict {
        (&mut self.receiver).await.unwrap_or(Verdict::Closed)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        // After a verdict was received there is nothing left to leave.
        self.slot.lock().leave(self.request, &mut self.receiver);
    }
}
