use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use schemas::ids::EmitterId;
use schemas::message::Appended;
use schemas::seq_set::SeqSet;
use schemas::subject::Cell;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// What waits for NATS at most; beyond it word is dropped, and said again a second later.
const WAITING: usize = 1_024;

/// Tells each emitter how far its events are appended: after each batch, and again each second, since a message may be
/// lost. Never makes the writer wait.
#[derive(Clone)]
pub struct Announcer {
    cell: Cell,
    outbox: mpsc::Sender<(String, Bytes)>,
    last: Arc<Mutex<HashMap<EmitterId, Appended>>>,
}

impl Announcer {
    /// On this connection.
    pub fn new(client: async_nats::Client, cell: Cell, tasks: &TaskTracker) -> Self {
        let (outbox, mut waiting) = mpsc::channel::<(String, Bytes)>(WAITING);
        tasks.spawn(async move {
            while let Some((subject, bytes)) = waiting.recv().await {
                if let Err(error) = client.publish(subject, bytes).await {
                    tracing::debug!(%error, "could not tell an emitter how far it is");
                }
            }
        });
        Self { cell, outbox, last: Arc::default() }
    }

    /// Remembers how far an emitter is, and tells it.
    pub fn appended(&self, emitter: EmitterId, appended: &SeqSet, position: u64) {
        let through = appended.through();
        let beyond = appended.ranges().iter().copied().filter(|(start, _)| *start > through).collect();
        let appended = Appended { through, beyond, position };
        self.tell(emitter, &appended);
        self.last.lock().insert(emitter, appended);
    }

    /// Tells the emitters that are still heard again, and forgets the others.
    pub fn again(&self, is_heard: impl Fn(EmitterId) -> bool) {
        let mut last = self.last.lock();
        last.retain(|emitter, _| is_heard(*emitter));
        for (emitter, appended) in last.iter() {
            self.tell(*emitter, appended);
        }
    }

    fn tell(&self, emitter: EmitterId, appended: &Appended) {
        if let Ok(bytes) = serde_json::to_vec(appended) {
            // A full outbox means that NATS is away: `again` follows.
            let _ = self.outbox.try_send((self.cell.appended(emitter), bytes.into()));
        }
    }
}
