use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use bytes::Bytes;
use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};
use schemas::event::{EventData, Header, Source, encode};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::subject::GATES;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::accounts::Accounts;
use super::gates::Gates;
use super::key_cap::KeyCaps;
use super::outbox::{Outbox, Sealed};
use super::shared::Shared;

/// The subject whose last sequence is compared; async-nats has no constant for it.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// One life of this process: an emitter with its gates, its leases, and what it has said that is not appended yet.
///
/// While it authorizes it is the current one. Once it is over it authorizes nothing more, settles what runs, says again
/// what is not appended, gives back what it has, and is forgotten.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) shared: Arc<Shared>,
    pub(super) emitter: EmitterId,
    /// Of the stream that its gates are in.
    pub(super) generation: u64,
    pub(super) accounts: Accounts,
    pub(super) key_caps: KeyCaps,
    gate_headers: Vec<HeaderMap>,
    gates: Mutex<Gates>,
    gate_permits: Arc<Semaphore>,
    next_seq: AtomicU64,
    outbox: Mutex<Outbox>,
    over: AtomicBool,
    /// Requests that will say something more.
    running: AtomicI64,
    /// The connection for which the ledger has said that the gates are open.
    confirmed: AtomicU64,
    /// Confirmed, or over.
    decided: Notify,
    /// There is something to do for its keeper.
    pub(super) kick: Notify,
}

/// A gate that is occupied; free again when this is dropped.
#[derive(Debug)]
pub(super) struct GatePass {
    life: Arc<Life>,
    k: u16,
    _permit: OwnedSemaphorePermit,
}

impl Life {
    /// A life as the ledger has registered it, over this connection.
    pub(super) fn new(
        shared: Arc<Shared>,
        emitter: EmitterId,
        generation: u64,
        gates: &[u64],
        connection: u64,
    ) -> Self {
        let gate_headers = (0..GATES).zip(gates).map(|(k, sequence)| {
            let mut headers = HeaderMap::new();
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
            headers.insert(EXPECTED_SUBJECT, shared.cell.gate(generation, emitter, k));
            headers
        });
        Self {
            emitter,
            generation,
            accounts: Accounts::default(),
            key_caps: KeyCaps::default(),
            gate_headers: gate_headers.collect(),
            gates: Mutex::default(),
            gate_permits: Arc::new(Semaphore::new(gates.len())),
            next_seq: AtomicU64::new(1),
            outbox: Mutex::default(),
            over: AtomicBool::new(false),
            running: AtomicI64::new(0),
            confirmed: AtomicU64::new(connection),
            decided: Notify::new(),
            kick: Notify::new(),
            shared,
        }
    }

    /// Authorizes nothing more.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Ends the authorizing part of this life; the first caller's reason is logged.
    pub(super) fn end(&self, why: &str) {
        if self.over.swap(true, Ordering::SeqCst) {
            return;
        }
        tracing::warn!(emitter = %self.emitter, generation = self.generation, why, "this life is over");
        self.accounts.close();
        self.decided.notify_waiters();
        self.kick.notify_one();
        self.shared.renew.notify_one();
    }

    /// The ledger has said that the gates are open, over this connection.
    pub(super) fn confirm(&self, connection: u64) {
        self.confirmed.store(connection, Ordering::SeqCst);
        self.decided.notify_waiters();
    }

    /// Waits until an acknowledgement would count, and gives the connection over which it would. None when the life is
    /// over or the time is.
    pub(super) async fn confirmed_by(&self, deadline: Instant) -> Option<u64> {
        if let (false, Some(connection)) = (self.is_over(), self.confirmed_connection()) {
            return Some(connection);
        }
        loop {
            let decided = self.decided.notified();
            tokio::pin!(decided);
            decided.as_mut().enable();
            if self.is_over() {
                return None;
            }
            if let Some(connection) = self.confirmed_connection() {
                return Some(connection);
            }
            timeout_at(deadline, decided).await.ok()?;
        }
    }

    /// The connection, if the gates are confirmed for it.
    pub(super) fn confirmed_connection(&self) -> Option<u64> {
        let connection = self.shared.bus.connection();
        let confirmed = self.confirmed.load(Ordering::SeqCst) == connection && self.shared.bus.is_connected();
        confirmed.then_some(connection)
    }

    /// Occupies a gate, in the order in which they were asked for.
    pub(super) async fn gate(self: &Arc<Self>, deadline: Instant) -> Option<GatePass> {
        let permit = timeout_at(deadline, self.gate_permits.clone().acquire_owned()).await.ok()?.ok()?;
        let k = self.gates.lock().take()?;
        Some(GatePass { life: self.clone(), k, _permit: permit })
    }

    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Makes an event's bytes and keeps them until the ledger has appended them.
    pub(super) fn write<T: EventData>(
        &self,
        account_id: AccountId,
        livemode: bool,
        request_id: Option<RequestId>,
        data: &T,
    ) -> Sealed {
        let seq = self.next_seq.fetch_add(1, Ordering::SeqCst);
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id: Some(account_id),
            request_id,
            emitter: self.emitter,
            seq,
            time: Utc::now(),
            livemode,
        };
        // An event is a struct of plain fields: there is nothing in it that JSON cannot say.
        #[allow(clippy::expect_used)]
        let bytes = Bytes::from(encode(Source::Gateway, &header, data).expect("an event is plain data"));
        let event = Sealed { seq, account_id, event_type: T::TYPE, bytes };
        self.shared.metrics.backlog_events.add(1);
        self.shared.metrics.backlog_bytes.add(event.bytes.len() as i64);
        self.outbox().keep(event.clone());
        event
    }

    /// Changes the outbox and counts what it let go.
    pub(super) fn let_go(&self, change: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox();
        let (events, bytes) = (outbox.len(), outbox.bytes());
        change(&mut outbox);
        let (events, bytes) = (events - outbox.len(), bytes - outbox.bytes());
        drop(outbox);
        self.shared.metrics.backlog_events.add(-(events as i64));
        self.shared.metrics.backlog_bytes.add(-(bytes as i64));
        if events > 0 && self.is_over() {
            self.kick.notify_one();
        }
    }

    /// The stream has acknowledged an event that was sent over this connection in this generation.
    pub(super) fn acknowledged(&self, seq: u64, generation: u64, connection: u64) {
        let era = super::outbox::Era { generation, connection };
        self.outbox().acknowledged(seq, era, self.shared.now());
    }

    /// A request begins that will say something more.
    pub(super) fn begin_request(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.shared.metrics.holds_open.add(1);
    }

    /// It has said everything, acknowledged.
    pub(super) fn end_request(&self) {
        self.shared.metrics.holds_open.add(-1);
        if self.running.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_over() {
            self.kick.notify_one();
        }
    }

    /// Requests that will say something more.
    pub(super) fn running(&self) -> i64 {
        self.running.load(Ordering::SeqCst)
    }

    /// Sends an event once, without a gate, to the stream of today, and waits so long for its acknowledgement.
    pub(super) async fn send(&self, event: &Sealed, within: Duration) -> Result<(), super::stored::NotStored> {
        let (generation, connection) = (self.shared.generation(), self.shared.bus.connection());
        let subject = self.shared.cell.event(generation, event.account_id, event.event_type);
        self.shared.bus.store(subject, None, event.bytes.clone(), within).await?;
        self.acknowledged(event.seq, generation, connection);
        Ok(())
    }
}

impl GatePass {
    /// Which gate.
    pub(super) fn k(&self) -> u16 {
        self.k
    }

    /// The condition under which the stream takes what is sent through this gate.
    pub(super) fn headers(&self) -> HeaderMap {
        self.life.gate_headers[usize::from(self.k)].clone()
    }
}

impl Drop for GatePass {
    fn drop(&mut self) {
        let was_occupied = self.life.gates.lock().give_back(self.k);
        debug_assert!(was_occupied);
    }
}
