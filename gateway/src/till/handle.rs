use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use schemas::api_key::KeyHash;
use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, watch};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::authorize::authorize;
use super::bus::Bus;
use super::caller::{Caller, NotAuthenticated};
use super::command::NotCarriedOut;
use super::config::TillConfig;
use super::health::TillHealth;
use super::hold::Hold;
use super::keys::Keys;
use super::life::Life;
use super::limits::Limits;
use super::lives::Lives;
use super::metrics::TillMetrics;
use super::peers::Peers;
use super::refused::Refused;
use super::shared::{Shared, TOO_MUCH};
use super::take::Declined;
use super::to_authorize::ToAuthorize;
use super::{broadcasts, close, command, heartbeat, key_cap, refill, test_mode};

/// `open` comes back after so long, registered or not.
const REGISTERED_WITHIN: Duration = Duration::from_secs(5);
/// So long a request waits for the next life to begin.
const NEXT_LIFE_WITHIN: Duration = Duration::from_secs(1);
/// So many lives are asked for one request.
const LIVES_A_REQUEST: usize = 3;

/// The money side of this gateway. Cheap to clone; all clones are the same till.
#[derive(Clone)]
pub struct Till(pub(super) Arc<Inner>);

/// What there is once a process.
pub(super) struct Inner {
    pub(super) shared: Arc<Shared>,
    pub(super) lives: Arc<Lives>,
    pub(super) keys: Keys,
    pub(super) peers: Mutex<Peers>,
    limits: Limits,
    gateways: AtomicU32,
    test_mode: bool,
    test_mode_caller: OnceCell<Caller>,
}

impl Till {
    /// Connects to NATS and begins a life with the ledger. It comes back after a few seconds even if that was not possible
    /// yet; the till goes on trying, says in the log what it waits for, and answers `Unavailable` until then.
    ///
    /// # Errors
    /// When the address makes no sense, or the server is too old.
    pub async fn open(config: TillConfig) -> anyhow::Result<Self> {
        let bus = Bus::connect(&config.nats_url).await?;
        let shared = Arc::new(Shared::new(config.cell, bus));
        let inner = Arc::new(Inner {
            lives: Arc::new(Lives::default()),
            keys: Keys::default(),
            peers: Mutex::new(Peers::new(shared.process)),
            limits: Limits::default(),
            gateways: AtomicU32::new(1),
            test_mode: config.test_mode,
            test_mode_caller: OnceCell::new(),
            shared: shared.clone(),
        });
        broadcasts::listen(&inner).await?;
        shared.background.spawn_on(heartbeat::beat(inner.clone()), &shared.runtime);
        shared.background.spawn_on(inner.lives.clone().supervise(shared.clone()), &shared.runtime);
        inner.lives.next(Instant::now() + REGISTERED_WITHIN).await;
        if let Some((version, false)) = shared.bus.server() {
            shared.stop.cancel();
            anyhow::bail!("the NATS server is {version}, which is too old: see the log");
        }
        Ok(Self(inner))
    }

    /// Whose key is this?
    ///
    /// # Errors
    /// When it is nobody's, or may not be used, or that cannot be found out now.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, NotAuthenticated> {
        self.0.keys.authenticate(&self.0.shared, secret, Utc::now()).await
    }

    /// The same by a key's hash, for sessions that the key has opened.
    ///
    /// # Errors
    /// As for the key itself.
    pub(crate) async fn authenticate_hash(&self, hash: KeyHash) -> Result<Caller, NotAuthenticated> {
        self.0.keys.authenticate_hash(&self.0.shared, hash, Utc::now()).await
    }

    /// The same by what this gateway knows already; nobody is asked.
    pub async fn authenticate_known(&self, secret: &str) -> Option<Caller> {
        self.0.keys.authenticate_known(&self.0.shared, secret, Utc::now()).await
    }

    /// The built-in sandbox account, for requests that come without a key in test mode.
    ///
    /// # Errors
    /// `Unknown` where test mode is off; `Unavailable` where the ledger does not answer.
    pub async fn test_mode_caller(&self) -> Result<Caller, NotAuthenticated> {
        if !self.0.test_mode {
            return Err(NotAuthenticated::Unknown);
        }
        let opened = self.0.test_mode_caller.get_or_try_init(|| test_mode::open_account(&self.0.shared)).await;
        opened.cloned()
    }

    /// Counts one request of the account against its rate limit.
    pub fn admit(&self, caller: &Caller) -> Admission {
        self.0.limits.admit(caller.account_id, caller.tier, self.0.live_gateways())
    }

    /// Prices in force. Before the first registration: version 0 without any model ([`TillHealth::registered`] is false).
    pub fn prices(&self) -> Arc<PriceBook> {
        self.0.shared.prices.load_full()
    }

    /// What the account can spend, and its key if that has a cap, credits, by the last word of the ledger; where there is none, it is asked. An old word is
    /// good enough while a new one is asked for: an account that is in use goes on while the ledger is away.
    ///
    /// # Errors
    /// `Unavailable` where the ledger does not answer.
    pub async fn available(&self, caller: &Caller) -> Result<Nanocredits, Refused> {
        for _ in 0..LIVES_A_REQUEST {
            let Some(life) = self.count(self.0.life().await)? else { break };
            let slot = life.accounts.slot(caller.account_id, caller.livemode);
            let (known, answer, ask_ledger) = {
                let (mut inner, now) = (slot.lock(), life.shared.now());
                let known = inner.account.word();
                let stale = known.is_none_or(|word| word.is_stale(now));
                let answer = known.is_none().then(|| inner.wonder());
                (known, answer, stale && inner.account.begin_asking(true, now))
            };
            if ask_ledger {
                refill::spawn(&life, &slot);
            }
            let below_cap = match caller.cap() {
                Some((api_key_id, _)) => key_cap::left(&life, api_key_id).await.unwrap_or(Nanocredits::MAX),
                None => Nanocredits::MAX,
            };
            if let Some(word) = known {
                return Ok(word.available.min(below_cap));
            }
            match answer {
                Some(answer) => match answer.await {
                    Ok(Some(word)) => return Ok(word.available.min(below_cap)),
                    _ if life.is_over() => {}
                    _ => break,
                },
                None => break,
            }
        }
        self.count(Err(Refused::unavailable("the ledger does not answer")))
    }

    /// Whether one more request would wait too long. [`Self::authorize`] looks by itself; this is for before any work was put
    /// into the request.
    ///
    /// # Errors
    /// `Unavailable`, where it would.
    pub fn take_more(&self) -> Result<(), Refused> {
        let shared = &self.0.shared;
        if !shared.pressure.is_over(shared.now()) {
            return Ok(());
        }
        shared.metrics.shed.add_one();
        self.count(Err(Refused::unavailable(TOO_MUCH)))
    }

    /// Authorizations that wait to be acknowledged.
    pub fn waiting(&self) -> usize {
        self.0.shared.pressure.waiting()
    }

    /// Sets the request's credits aside. With the hold that comes back the provider may be called.
    /// Dropping the future gives back what was taken.
    ///
    /// # Errors
    /// When the account has too little, or that cannot be found out now.
    pub async fn authorize(&self, caller: &Caller, request: ToAuthorize) -> Result<Hold, Refused> {
        if !caller.restrictions.allow(&request.model) {
            return self.count(Err(Refused::ModelNotAllowed));
        }
        for _ in 0..LIVES_A_REQUEST {
            let Some(life) = self.count(self.0.life().await)? else { break };
            match within_cap(&life, caller, &request).await {
                Ok(hold) => return Ok(hold),
                // Nothing was published for it, so the next life may serve it under the same id. After a publication it
                // may not: the release of the first attempt has ended the request.
                Err(Declined::LifeIsOver) => {}
                Err(Declined::Refused(refused)) => return self.count(Err(refused)),
            }
        }
        self.count(Err(Refused::unavailable("this gateway is not registered with the ledger")))
    }

    /// Sends an operator's command to the ledger, by its name in [`schemas::message::command_name`].
    ///
    /// # Errors
    /// When it is refused, or not answered within this time.
    pub async fn command<A: DeserializeOwned>(
        &self,
        name: &str,
        command: &impl Serialize,
        within: Duration,
    ) -> Result<A, NotCarriedOut> {
        command::carry_out(&self.0.shared, name, command, within).await
    }

    /// The longest that a request may run; its hold expires later than that.
    pub fn request_limit(&self) -> Duration {
        self.0.shared.request_limit()
    }

    /// The last position that the ledger has told of: of this gateway's events at once, of others within a second. 0 before
    /// the first.
    pub fn announced(&self) -> watch::Receiver<u64> {
        self.0.shared.announced()
    }

    /// Whether requests can be authorized.
    pub fn health(&self) -> TillHealth {
        let shared = &self.0.shared;
        let life = self.0.lives.current();
        let refusing = shared.refusing().or_else(|| match &life {
            None => Some("this gateway is not registered with the ledger"),
            Some(life) if life.confirmed_connection().is_none() => Some("the ledger has not confirmed the gates"),
            Some(_) => None,
        });
        TillHealth {
            connected: shared.bus.is_connected(),
            registered: life.is_some(),
            generation: shared.generation(),
            ledger_heard: shared.ledger_heard(),
            stream_used_percent: shared.stream_used_percent(),
            backlog_bytes: u64::try_from(shared.metrics.backlog_bytes.get()).unwrap_or(0),
            live_gateways: self.0.live_gateways(),
            refusing,
        }
    }

    /// Counters.
    pub fn metrics(&self) -> &TillMetrics {
        &self.0.shared.metrics
    }

    /// Authorizes nothing more, waits for what runs, gives leases back, waits until all is appended; at most so long.
    pub async fn close(&self, deadline: Duration) {
        close::close(&self.0, deadline).await;
    }

    /// For work that owes money and outlives its client: `close` waits for it.
    pub fn track(&self) -> &TaskTracker {
        &self.0.shared.track
    }

    fn count<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        let metrics = &self.0.shared.metrics;
        match &result {
            Err(Refused::InsufficientCredits { .. }) => metrics.refused_insufficient.add_one(),
            Err(Refused::CreditsHeld { .. }) => metrics.refused_held.add_one(),
            Err(Refused::ModelNotAllowed | Refused::KeyCapReached { .. }) => metrics.refused_by_key.add_one(),
            Err(Refused::Unavailable { .. }) => metrics.refused_unavailable.add_one(),
            Ok(_) => {}
        }
        result
    }
}

/// Below the key's cap, if it has one, and then from the account's lease.
async fn within_cap(life: &Arc<Life>, caller: &Caller, request: &ToAuthorize) -> Result<Hold, Declined> {
    let Some((api_key_id, _)) = caller.cap() else { return authorize(life, caller, request).await };
    let reserved = key_cap::reserve(life, api_key_id, request.request_id, request.hold).await?;
    let hold = authorize(life, caller, request).await?;
    reserved.keep();
    Ok(hold)
}

impl Inner {
    /// The life that authorizes; none if none begins soon.
    async fn life(&self) -> Result<Option<Arc<Life>>, Refused> {
        if let Some(why) = self.shared.refusing() {
            return Err(Refused::unavailable(why));
        }
        if let Some(life) = self.lives.current() {
            return Ok(Some(life));
        }
        Ok(self.lives.next(Instant::now() + NEXT_LIFE_WITHIN).await)
    }

    fn live_gateways(&self) -> u32 {
        self.gateways.load(Ordering::Relaxed)
    }

    /// Counts anew which gateways are alive; done with each heartbeat, heard or said.
    pub(super) fn count_gateways(&self) {
        let live = self.peers.lock().live(self.shared.now(), self.shared.lease_time());
        if self.gateways.swap(live, Ordering::Relaxed) != live {
            tracing::info!(gateways = live, "rate limits are shared among so many gateways");
        }
    }
}
