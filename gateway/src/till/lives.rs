//! The lives of this process: the one that authorizes, and older ones that still owe something.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use schemas::ids::EmitterId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::keep;
use super::life::Life;
use super::register::{Born, register};
use super::shared::Shared;

/// Between two tries to register.
const PAUSE: Duration = Duration::from_millis(200);
/// What keeps it from registering is said this often.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// So many lives of this process are recent.
const RECENT: usize = 64;

/// All lives that are not forgotten.
#[derive(Debug)]
pub(super) struct Lives {
    current: ArcSwapOption<Life>,
    all: Mutex<Vec<Arc<Life>>>,
    names: Mutex<VecDeque<EmitterId>>,
    changed: watch::Sender<u64>,
}

impl Default for Lives {
    fn default() -> Self {
        Self {
            current: ArcSwapOption::empty(),
            all: Mutex::default(),
            names: Mutex::default(),
            changed: watch::channel(0).0,
        }
    }
}

impl Lives {
    /// The life that authorizes, if there is one.
    pub(super) fn current(&self) -> Option<Arc<Life>> {
        self.current.load_full().filter(|life| !life.is_over())
    }

    /// The same, waiting for it if none is there yet.
    pub(super) async fn next(&self, deadline: Instant) -> Option<Arc<Life>> {
        let mut changes = self.changed.subscribe();
        loop {
            if let Some(life) = self.current() {
                return Some(life);
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }

    /// Those that are not forgotten.
    pub(super) fn all(&self) -> Vec<Arc<Life>> {
        self.all.lock().clone()
    }

    /// The names of all recent lives of this process, also of those that are forgotten or whose registration was abandoned:
    /// the ledger may not know yet that they are over, and waits for the word of each.
    pub(super) fn names(&self) -> Vec<EmitterId> {
        self.names.lock().iter().copied().collect()
    }

    fn name(&self) -> EmitterId {
        let emitter = EmitterId(Uuid::now_v7());
        let mut names = self.names.lock();
        if names.len() == RECENT {
            names.pop_front();
        }
        names.push_back(emitter);
        emitter
    }

    /// The names of those that are not forgotten, for the heartbeat.
    pub(super) fn emitters(&self) -> Vec<EmitterId> {
        self.all.lock().iter().map(|life| life.emitter).collect()
    }

    /// It owes nothing any longer.
    pub(super) fn forget(&self, life: &Arc<Life>) {
        let mut all = self.all.lock();
        all.retain(|kept| kept.emitter != life.emitter);
        life.shared.metrics.lives.set(all.len() as i64);
        drop(all);
        tracing::info!(emitter = %life.emitter, "a life owes nothing any longer");
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until no life is left.
    pub(super) async fn forgotten(&self, deadline: Instant) -> bool {
        let mut changes = self.changed.subscribe();
        while !self.all.lock().is_empty() {
            if timeout_at(deadline, changes.changed()).await.is_err() {
                return false;
            }
        }
        true
    }

    fn begin(self: &Arc<Self>, born: Born) {
        let life = born.life.clone();
        let mut all = self.all.lock();
        all.push(life.clone());
        life.shared.metrics.lives.set(all.len() as i64);
        drop(all);
        keep::spawn(self, born);
        self.current.store(Some(life.clone()));
        life.shared.pulse.notify_one();
        self.changed.send_modify(|count| *count += 1);
    }

    /// Begins a life whenever there is none that authorizes, until the till closes.
    pub(super) async fn supervise(self: Arc<Self>, shared: Arc<Shared>) {
        let mut said: Option<Instant> = None;
        while !shared.is_closing() {
            if self.current().is_some() {
                tokio::select! {
                    () = shared.stop.cancelled() => return,
                    () = shared.renew.notified() => continue,
                }
            }
            let obstacle = match self.try_to_register(&shared).await {
                Ok(born) if !shared.is_closing() => {
                    said = None;
                    self.begin(born);
                    continue;
                }
                Ok(_) => return,
                Err(obstacle) => obstacle,
            };
            if said.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
                tracing::warn!(
                    obstacle = format!("{obstacle:#}"),
                    "waiting to be registered; requests are refused until then"
                );
                said = Some(Instant::now());
            }
            if timeout(PAUSE, shared.stop.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    async fn try_to_register(&self, shared: &Arc<Shared>) -> anyhow::Result<Born> {
        let (Some((version, fits)), true) = (shared.bus.server(), shared.bus.is_connected()) else {
            anyhow::bail!("NATS is not reachable");
        };
        let (major, minor, patch) = super::bus::OLDEST_SERVER;
        anyhow::ensure!(fits, "the NATS server is {version}; {major}.{minor}.{patch} or newer is needed");
        register(shared, self.name()).await
    }
}
