use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use schemas::message::Beacon;
use schemas::price_book::PriceBook;
use schemas::subject::Cell;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::bus::Bus;
use super::metrics::TillMetrics;
use super::outbox::Era;
use super::pressure::Pressure;

/// New requests are refused when so much of this gateway is not yet appended: what is left of the memory is for settling.
const MOST_BACKLOG_BYTES: i64 = 256 * 1024 * 1024;
/// New requests are refused when the stream is so full: what is left of it is for settling.
const FULLEST_STREAM_PERCENT: u8 = 80;
/// Before the ledger has said how long a lease lasts.
const FIRST_LEASE_TIME: Duration = Duration::from_secs(5);
/// Before the ledger has said how long a request may run.
const FIRST_REQUEST_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Why a request is refused that would wait too long.
pub(super) const TOO_MUCH: &str = "there are more requests than this gateway can take";

/// What all lives of this process share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cell: Cell,
    /// The same in all lives.
    pub(super) process: Uuid,
    pub(super) bus: Bus,
    pub(super) metrics: TillMetrics,
    /// Authorizations that wait to be acknowledged.
    pub(super) pressure: Pressure,
    /// Work that owes money.
    pub(super) track: TaskTracker,
    /// Work that goes on until the end.
    pub(super) background: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Holds may be dropped outside of the runtime.
    pub(super) runtime: Handle,
    pub(super) prices: ArcSwap<PriceBook>,
    /// A life is over: the next one is wanted.
    pub(super) renew: Notify,
    /// The heartbeat is to say something new.
    pub(super) pulse: Notify,
    started: Instant,
    closing: AtomicBool,
    generation: AtomicU64,
    stream_used_percent: AtomicU8,
    /// The last position that the ledger has told of.
    announced: watch::Sender<u64>,
    heard_ms: AtomicU64,
    lease_ms: AtomicU64,
    request_ms: AtomicU64,
}

impl Shared {
    pub(super) fn new(cell: Cell, bus: Bus) -> Self {
        let no_prices =
            PriceBook { version: 0, default_margin_bps: 0, allowances: Default::default(), models: Default::default() };
        Self {
            cell,
            process: Uuid::now_v7(),
            bus,
            metrics: TillMetrics::default(),
            pressure: Pressure::default(),
            track: TaskTracker::new(),
            background: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime: Handle::current(),
            prices: ArcSwap::from_pointee(no_prices),
            renew: Notify::new(),
            pulse: Notify::new(),
            started: Instant::now(),
            closing: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            stream_used_percent: AtomicU8::new(0),
            announced: watch::Sender::new(0),
            heard_ms: AtomicU64::new(0),
            lease_ms: AtomicU64::new(FIRST_LEASE_TIME.as_millis() as u64),
            request_ms: AtomicU64::new(FIRST_REQUEST_LIMIT.as_millis() as u64),
        }
    }

    /// Time since the till was opened: the clock of everything pure in here.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The newest generation that was heard of.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// What an acknowledgement that comes now is worth.
    pub(super) fn era(&self) -> Era {
        Era { generation: self.generation(), connection: self.bus.connection() }
    }

    pub(super) fn lease_time(&self) -> Duration {
        Duration::from_millis(self.lease_ms.load(Ordering::Relaxed))
    }

    pub(super) fn request_limit(&self) -> Duration {
        Duration::from_millis(self.request_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_times(&self, lease_ms: u64, request_ms: u64) {
        self.lease_ms.store(lease_ms.max(1), Ordering::Relaxed);
        self.request_ms.store(request_ms, Ordering::Relaxed);
    }

    /// Puts newer prices in force.
    pub(super) fn learn_prices(&self, book: &std::sync::Arc<PriceBook>) {
        if book.version > self.prices.load().version {
            tracing::info!(price_book.version = book.version, "prices");
            self.prices.store(book.clone());
        }
    }

    pub(super) fn hear(&self, beacon: &Beacon) {
        self.stream_used_percent.store(beacon.stream_used_percent, Ordering::Relaxed);
        self.heard_ms.store(self.now().as_millis().max(1) as u64, Ordering::Relaxed);
        self.appended(beacon.position);
    }

    /// The ledger tells of a position. Who waits for news is woken by a later one only.
    pub(super) fn appended(&self, position: u64) {
        self.announced.send_if_modified(|last| {
            let is_news = position > *last;
            *last = position.max(*last);
            is_news
        });
    }

    pub(super) fn announced(&self) -> watch::Receiver<u64> {
        self.announced.subscribe()
    }

    /// How long ago the ledger was heard.
    pub(super) fn ledger_heard(&self) -> Option<Duration> {
        let at = self.heard_ms.load(Ordering::Relaxed);
        (at > 0).then(|| self.now().saturating_sub(Duration::from_millis(at)))
    }

    pub(super) fn stream_used_percent(&self) -> u8 {
        self.stream_used_percent.load(Ordering::Relaxed)
    }

    pub(super) fn begin_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Why no request can be authorized now, whatever its account.
    pub(super) fn refusing(&self) -> Option<&'static str> {
        if self.is_closing() {
            Some("this gateway is stopping")
        } else if !self.bus.is_connected() {
            Some("the event log is not reachable")
        } else if self.stream_used_percent() >= FULLEST_STREAM_PERCENT {
            Some("the event log is almost full")
        } else if self.metrics.backlog_bytes.get() > MOST_BACKLOG_BYTES {
            Some("too many events wait for the ledger")
        } else if self.pressure.is_over(self.now()) {
            Some(TOO_MUCH)
        } else {
            None
        }
    }
}
