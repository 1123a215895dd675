//! A graceful end.
//!
//! | phase | waits for |
//! |---|---|
//! | authorize nothing more | – |
//! | let run what runs | settlements and releases, acknowledged |
//! | end the life | leases given back, everything appended |
//! | say goodbye | the last heartbeat has left |

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::handle::Inner;
use super::heartbeat;

pub(super) async fn close(till: &Arc<Inner>, within: Duration) {
    let deadline = Instant::now() + within;
    let shared = &till.shared;
    shared.begin_closing();
    shared.track.close();
    if timeout_at(deadline, shared.track.wait()).await.is_err() {
        tracing::warn!(tasks = shared.track.len(), "requests are still running at the end");
    }
    if let Some(life) = till.lives.current() {
        life.end("this gateway is stopping");
    }
    shared.renew.notify_one();
    till.lives.forgotten(deadline).await;
    for life in till.lives.all() {
        let (events, first) = {
            let outbox = life.outbox();
            (outbox.len(), outbox.first())
        };
        tracing::warn!(
            emitter = %life.emitter, requests = life.running(), events, first_seq = first,
            "what this life still owes is lost with this process; the ledger ends its holds"
        );
    }
    // All names: what is forgotten here may still be open at the ledger, which ends it at once on this word.
    heartbeat::say(till, till.lives.names(), true).await;
    shared.bus.flush().await;
    shared.stop.cancel();
    shared.background.close();
    let _ = timeout_at(Instant::now() + Duration::from_secs(1), shared.background.wait()).await;
}
