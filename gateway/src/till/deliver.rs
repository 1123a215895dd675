//! An event that is owed is sent until the stream has it, or the ledger says that it has it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::hold::SettleError;
use super::life::Life;
use super::outbox::Sealed;

/// An acknowledgement that has not come by then is not waited for; the event is sent again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether an event may overtake those that were acknowledged before it and have to be said again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A usage or an ending: it fills a slot of its request, in any order.
    Any,
    /// A return: it must find in the ledger's lease what it leaves in it.
    InTurn,
}

/// Sends an event without a gate until it is acknowledged or appended, across reconnects and generations. Ends without
/// success only with the process.
pub(super) async fn deliver(life: &Arc<Life>, event: &Sealed, order: Order) -> Result<(), SettleError> {
    let mut pause = FIRST_PAUSE;
    loop {
        wait_for_connection(life).await?;
        while order == Order::InTurn && !life.outbox().is_current(life.shared.era()) {
            wait(life, FIRST_PAUSE).await?;
        }
        match life.send(event, ACKNOWLEDGED_WITHIN).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::debug!(emitter = %life.emitter, seq = event.seq, %error, "an event is not acknowledged yet");
            }
        }
        if !life.outbox().keeps(event.seq) {
            return Ok(());
        }
        wait(life, pause).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn wait(life: &Arc<Life>, pause: Duration) -> Result<(), SettleError> {
    let stopped = timeout(pause, life.shared.stop.cancelled()).await.is_ok();
    if stopped { Err(SettleError::Stopped) } else { Ok(()) }
}

/// The connection makes itself again.
async fn wait_for_connection(life: &Arc<Life>) -> Result<(), SettleError> {
    let mut changes = life.shared.bus.changes();
    while !life.shared.bus.is_connected() {
        tokio::select! {
            () = life.shared.stop.cancelled() => return Err(SettleError::Stopped),
            // The event may have been told before this began to listen, so it looks again by itself too.
            _ = timeout(Duration::from_millis(100), changes.changed()) => {}
        }
    }
    Ok(())
}
