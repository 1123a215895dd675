use std::sync::Arc;
use std::time::Duration;

use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use tokio_util::task::TaskTracker;

use super::{Admission, Caller, Hold, NotAuthenticated, Refused, TillConfig, TillHealth, TillMetrics, ToAuthorize};

/// The money side of this gateway. Cheap to clone; all clones are the same till.
#[derive(Clone)]
pub struct Till {}

impl Till {
    /// Connects to NATS and begins a life with the ledger. It comes back after a few seconds even if that was not possible
    /// yet; the till goes on trying, says in the log what it waits for, and answers `Unavailable` until then.
    ///
    /// # Errors
    /// When the address makes no sense, or the server is too old.
    pub async fn open(_config: TillConfig) -> anyhow::Result<Self> {
        todo!()
    }

    /// Whose key is this?
    pub async fn authenticate(&self, _secret: &str) -> Result<Caller, NotAuthenticated> {
        todo!()
    }

    /// The built-in sandbox account, for requests that come without a key in test mode.
    pub async fn test_mode_caller(&self) -> Result<Caller, NotAuthenticated> {
        todo!()
    }

    /// Counts one request of the account against its rate limit.
    pub fn admit(&self, _caller: &Caller) -> Admission {
        todo!()
    }

    /// Prices in force. Before the first registration: version 0 without any model ([`TillHealth::registered`] is false).
    pub fn prices(&self) -> Arc<PriceBook> {
        todo!()
    }

    /// What the account can spend, credits, by the last word of the ledger; the first time it is asked.
    pub async fn available(&self, _caller: &Caller) -> Result<Nanocredits, Refused> {
        todo!()
    }

    /// Sets the request's credits aside. With the hold that comes back the provider may be called.
    /// Dropping the future gives back what was taken.
    pub async fn authorize(&self, _caller: &Caller, _request: ToAuthorize) -> Result<Hold, Refused> {
        todo!()
    }

    /// The longest that a request may run; its hold expires later than that.
    pub fn request_limit(&self) -> Duration {
        todo!()
    }

    /// Whether requests can be authorized.
    pub fn health(&self) -> TillHealth {
        todo!()
    }

    /// Counters.
    pub fn metrics(&self) -> &TillMetrics {
        todo!()
    }

    /// Authorizes nothing more, waits for what runs, gives leases back, waits until all is appended; at most so long.
    pub async fn close(&self, _deadline: Duration) {
        todo!()
    }

    /// For work that owes money and outlives its client: `close` waits for it.
    pub fn track(&self) -> &TaskTracker {
        todo!()
    }
}
