use std::sync::Arc;
use std::time::Duration;

use schemas::ids::EmitterId;
use schemas::message::Heartbeat;
use tokio::time::timeout;

use super::handle::Inner;

/// Heartbeats in a lease time: so many may be lost before a life is thought dead.
const BEATS_A_LEASE: u32 = 5;

/// Says several times in a lease time that this process is alive, and which of its lives are.
pub(super) async fn beat(till: Arc<Inner>) {
    let shared = &till.shared;
    loop {
        say(&till, till.lives.emitters(), false).await;
        till.count_gateways();
        let pause = (shared.lease_time() / BEATS_A_LEASE).max(Duration::from_millis(10));
        tokio::select! {
            () = shared.stop.cancelled() => return,
            _ = timeout(pause, shared.pulse.notified()) => {}
        }
    }
}

/// One heartbeat.
pub(super) async fn say(till: &Inner, lives: Vec<EmitterId>, leaving: bool) {
    let beat = Heartbeat { process: till.shared.process, lives, leaving };
    till.shared.bus.say(till.shared.cell.heartbeat(), &beat).await;
}
