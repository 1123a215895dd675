//! One authorization in one life.
//!
//! | phase | costs | until then, dropping it |
//! |---|---|---|
//! | take the hold from the lease | a lock; a question to the ledger where the lease is short | gives nothing back: nothing was taken |
//! | occupy a gate | a lock; a wait if all 64 are occupied | puts the hold back |
//! | send through the gate, await the acknowledgement | a round trip to NATS | releases the hold, naming the `seq` that may never come |
//! | hand out the hold | nothing | – |

use std::sync::Arc;
use std::time::Duration;

use schemas::event::ReleaseReason;
use tokio::time::{Instant, sleep};

use super::caller::Caller;
use super::hold::Hold;
use super::life::{GatePass, Life};
use super::open_request::OpenRequest;
use super::outbox::Sealed;
use super::refused::Refused;
use super::stored::NotStored;
use super::take::{Declined, take};
use super::to_authorize::ToAuthorize;

/// From the gate to the decision; after that the client is told to come again.
const DECIDED_WITHIN: Duration = Duration::from_secs(2);
/// An acknowledgement that has not come by then is unknown, and the same is sent again through the same gate.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(1);
/// Before the same is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes, sends and awaits; what comes back is acknowledged.
pub(super) async fn authorize(life: &Arc<Life>, caller: &Caller, request: &ToAuthorize) -> Result<Hold, Declined> {
    let mut taken = Taken(Some(take(life, caller, request).await?));
    let clock = || life.shared.now();
    let _waiting = life.shared.pressure.begin(&clock);
    let deadline = Instant::now() + DECIDED_WITHIN;
    let not_now =
        |why| if life.is_over() { Declined::LifeIsOver } else { Declined::Refused(Refused::unavailable(why)) };
    let pass = life.gate(deadline).await.ok_or_else(|| not_now("too many authorizations are undecided"))?;
    life.confirmed_by(deadline).await.ok_or_else(|| not_now("the ledger has not confirmed the gates"))?;
    match taken.0.take() {
        Some(open) => Sent::new(open, pass).decide(deadline).await.map_err(Declined::Refused),
        None => Err(Declined::LifeIsOver),
    }
}

/// A hold of which nobody outside knows.
struct Taken(Option<Box<OpenRequest>>);

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.put_back();
        }
    }
}

/// An authorization that may have been stored, and is not decided.
struct Sent {
    event: Sealed,
    open: Option<(Box<OpenRequest>, GatePass)>,
}

impl Sent {
    fn new(open: Box<OpenRequest>, pass: GatePass) -> Self {
        let event = open.authorization(pass.k());
        Self { event, open: Some((open, pass)) }
    }

    async fn decide(mut self, deadline: Instant) -> Result<Hold, Refused> {
        let Some((open, pass)) = &self.open else { return Err(Refused::unavailable("already decided")) };
        let (life, bus) = (open.life.clone(), open.life.shared.bus.clone());
        let subject = life.shared.cell.event(life.generation, self.event.account_id, self.event.event_type);
        let mut attempts = 0;
        while let Some(connection) = life.confirmed_by(deadline).await {
            attempts += 1;
            let bytes = self.event.bytes.clone();
            match bus.store(subject.clone(), Some(pass.headers()), bytes, ACKNOWLEDGED_WITHIN).await {
                // What another connection says counts only once the gates are confirmed for it; and a life that is over
                // cannot know any longer in which stream the acknowledgement was given.
                Ok(()) if life.confirmed_connection() == Some(connection) && !life.is_over() => {
                    return Ok(self.granted(&life, connection));
                }
                Ok(()) => {}
                Err(NotStored::GateClosed) => {
                    life.shared.metrics.gate_refusals.add_one();
                    life.end("its gates are closed: it was fenced");
                    // Of an earlier attempt nobody knows whether it was stored before the gate was closed.
                    let reason = if attempts == 1 { ReleaseReason::Refused } else { ReleaseReason::Undecided };
                    return Err(self.give_up(reason, "this gateway was fenced and begins anew"));
                }
                Err(undecided) => {
                    tracing::warn!(request.id = %open.request.request_id, error = %undecided, "an authorization is undecided");
                    if Instant::now() + PAUSE >= deadline {
                        break;
                    }
                    sleep(PAUSE).await;
                }
            }
        }
        life.shared.metrics.undecided.add_one();
        Err(self.give_up(ReleaseReason::Undecided, "the event log does not acknowledge"))
    }

    fn granted(&mut self, life: &Life, connection: u64) -> Hold {
        life.acknowledged(self.event.seq, life.generation, connection);
        #[allow(clippy::expect_used)]
        let (open, _free_gate) = self.open.take().expect("it is decided once");
        open.authorized();
        Hold::new(open)
    }

    fn give_up(&mut self, reason: ReleaseReason, why: &'static str) -> Refused {
        self.release(reason, why);
        Refused::unavailable(why)
    }

    fn release(&mut self, reason: ReleaseReason, why: &'static str) {
        if let Some((open, pass)) = self.open.take() {
            open.release(reason, why.to_owned(), Some((self.event.seq, pass)));
        }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.release(ReleaseReason::ClientGone, "the client left before its request was authorized");
    }
}
