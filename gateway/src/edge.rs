use std::sync::Arc;
use std::time::Duration;

use schemas::money::Nanocredits;
use tokio_util::sync::CancellationToken;

use crate::billing::Billing;
use crate::config::{Config, Network, OnDisconnect, OnceLimits};
use crate::console::Console;
use crate::credits::Balances;
use crate::error::Error;
use crate::failures::Failures;
use crate::feed::Feeds;
use crate::log::Log;
use crate::message_limits::MessageLimits;
use crate::metrics::Metrics;
use crate::once::Answers;
use crate::secret::HashedSecret;
use crate::till::{Caller, Till};
use crate::upstream::Upstreams;

/// What every route needs. Cheap to clone.
#[derive(Clone)]
pub struct Edge(Arc<Inner>);

struct Inner {
    till: Till,
    live: Option<Arc<Upstreams>>,
    simulator: Option<Arc<Upstreams>>,
    test_secret: Option<HashedSecret>,
    admin_key: Option<HashedSecret>,
    max_credits_per_request: Nanocredits,
    body_patience: Duration,
    longest_answer: Duration,
    on_disconnect: OnDisconnect,
    message_limits: MessageLimits,
    network: Network,
    failures: Failures,
    balances: Option<Balances>,
    log: Option<Log>,
    billing: Option<Billing>,
    feeds: Option<Feeds>,
    console: Option<Console>,
    answers: Option<Answers>,
    once_limits: OnceLimits,
    metrics: Metrics,
    stopping: CancellationToken,
    cut: CancellationToken,
}

impl Edge {
    /// An edge in front of a till.
    ///
    /// # Errors
    /// When the database's address makes no sense; it is not connected to yet.
    pub fn new(config: &Config, till: Till) -> anyhow::Result<Self> {
        let balances = config.database_url.as_deref().map(Balances::open).transpose()?;
        let log = config.database_url.as_deref().map(Log::open).transpose()?;
        let billing = config.database_url.as_deref().map(Billing::open).transpose()?;
        let feeds = config.database_url.as_deref().map(Feeds::open).transpose()?;
        let open_console = |settings| Console::open(settings, config.admin_key, config.database_url.as_deref());
        let console = config.console.as_ref().map(open_console).transpose()?;
        let simulator = config.simulator.clone().map(|setup| Arc::new(Upstreams::new(vec![setup])));
        let live = match (&config.live[..], &config.simulator) {
            ([], _) => None,
            // Where it stands in, it is the same one.
            ([live], Some(setup)) if live.connection.is(&setup.connection) => simulator.clone(),
            (live, _) => Some(Arc::new(Upstreams::new(live.to_vec()))),
        };
        let answers = config.database_url.as_deref().map(Answers::open).transpose()?;
        Ok(Self(Arc::new(Inner {
            till,
            live,
            simulator,
            test_secret: config.test_secret,
            admin_key: config.admin_key,
            max_credits_per_request: config.max_credits_per_request,
            body_patience: config.body_patience,
            longest_answer: config.longest_answer,
            on_disconnect: config.on_disconnect,
            message_limits: config.message_limits.clone(),
            network: config.network.clone(),
            failures: Failures::default(),
            balances,
            log,
            billing,
            feeds,
            console,
            answers,
            once_limits: config.once_limits,
            metrics: Metrics::default(),
            stopping: CancellationToken::new(),
            cut: CancellationToken::new(),
        })))
    }

    /// The money side.
    pub fn till(&self) -> &Till {
        &self.0.till
    }

    /// Who may ask from where.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// Failed authentications.
    pub fn failures(&self) -> &Failures {
        &self.0.failures
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Cancelled when the process is to stop: what has no end of its own ends.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Cancelled when the process cannot wait any longer: running streams settle and end.
    pub fn cut(&self) -> &CancellationToken {
        &self.0.cut
    }

    /// The read model of credits, if there is a database.
    pub fn balances(&self) -> Option<&Balances> {
        self.0.balances.as_ref()
    }

    /// The ledger's log, if there is a database.
    pub fn log(&self) -> Option<&Log> {
        self.0.log.as_ref()
    }

    /// The read models of usage, if there is a database.
    pub fn billing(&self) -> Option<&Billing> {
        self.0.billing.as_ref()
    }

    /// The live feeds, if there is a database.
    pub(crate) fn feeds(&self) -> Option<&Feeds> {
        self.0.feeds.as_ref()
    }

    /// The console, unless it is turned off.
    pub(crate) fn console(&self) -> Option<&Console> {
        self.0.console.as_ref()
    }

    /// Answers by idempotency key, if there is a database.
    pub fn answers(&self) -> Option<&Answers> {
        self.0.answers.as_ref()
    }

    /// For how long an idempotency key counts, and what is kept under it.
    pub fn once_limits(&self) -> OnceLimits {
        self.0.once_limits
    }

    /// What becomes of a stream whose client leaves.
    pub fn on_disconnect(&self) -> OnDisconnect {
        self.0.on_disconnect
    }

    /// How many messages a request may have, and how long.
    pub fn message_limits(&self) -> &MessageLimits {
        &self.0.message_limits
    }

    /// How long a client may take to send a body.
    pub fn body_patience(&self) -> Duration {
        self.0.body_patience
    }

    /// The most that a filled-in output limit may cost.
    pub fn max_credits_per_request(&self) -> Nanocredits {
        self.0.max_credits_per_request
    }

    /// Who answers this caller. Sandbox traffic never reaches a provider that costs money.
    ///
    /// # Errors
    /// When nobody is set up for it.
    pub fn upstreams(&self, caller: &Caller) -> Result<&Arc<Upstreams>, Error> {
        let upstreams = if caller.livemode { &self.0.live } else { &self.0.simulator };
        upstreams.as_ref().ok_or(Error::NoProvider { livemode: caller.livemode })
    }

    /// All who answer anybody, each once.
    pub fn all_upstreams(&self) -> impl Iterator<Item = &Arc<Upstreams>> + Clone {
        let (live, simulator) = (self.0.live.as_ref(), self.0.simulator.as_ref());
        let other = simulator.filter(|simulator| live.is_none_or(|live| !Arc::ptr_eq(live, simulator)));
        live.into_iter().chain(other)
    }

    /// The longest that an answer may take: well below what the ledger allows a request to run, so that there is time left
    /// to settle it.
    pub fn longest_answer(&self) -> Duration {
        self.0.longest_answer.min(self.0.till.request_limit().mul_f32(0.9))
    }

    /// Whether this is the secret of the test mode; never, where there is none.
    pub fn is_test_secret(&self, text: &[u8]) -> bool {
        self.0.test_secret.is_some_and(|secret| secret.is(text))
    }

    /// Whether this is the operator's key; never, where there is none.
    pub fn is_admin_key(&self, text: &[u8]) -> bool {
        self.0.admin_key.is_some_and(|secret| secret.is(text))
    }

    /// Whether the admin API is there at all.
    pub fn has_admin_key(&self) -> bool {
        self.0.admin_key.is_some()
    }
}
