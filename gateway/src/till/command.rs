//! Commands of an operator, passed on to the ledger.

use std::time::Duration;

use schemas::message::{Refusal, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bus::Silence;
use super::shared::Shared;

/// NATS carries a megabyte; the rest is for what stands round a command.
const LARGEST: usize = 1_000_000;

/// Why a command has no answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotCarriedOut {
    /// The ledger said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not sent, or nobody heard it: nothing was done.
    #[error("the ledger cannot be reached")]
    Unheard,
    /// It was sent, and no answer came: it may have been carried out.
    #[error("the ledger did not answer in time")]
    Unknown,
    /// It is larger than can be sent.
    #[error("the command is too large")]
    TooLarge,
}

/// Sends a command and waits for its answer.
pub(super) async fn carry_out<A: DeserializeOwned>(
    shared: &Shared,
    name: &str,
    command: &impl Serialize,
    within: Duration,
) -> Result<A, NotCarriedOut> {
    if serde_json::to_vec(command).is_ok_and(|bytes| bytes.len() > LARGEST) {
        return Err(NotCarriedOut::TooLarge);
    }
    // Without a connection it would be kept, and sent when nobody waits for it any longer.
    if !shared.bus.is_connected() {
        return Err(NotCarriedOut::Unheard);
    }
    let answer: Result<Reply<A>, Silence> = shared.bus.ask(shared.cell.command(name), command, within).await;
    match answer {
        Ok(reply) => reply.map_err(NotCarriedOut::Refused),
        Err(Silence::NobodyListens) => Err(NotCarriedOut::Unheard),
        Err(Silence::TooLate | Silence::Unreadable) => Err(NotCarriedOut::Unknown),
    }
}
