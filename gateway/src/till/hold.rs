use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use schemas::event::{ReleaseReason, UsageRecorded};
use schemas::ids::RequestId;
use schemas::money::Nanocredits;
use tokio::task::JoinHandle;

use super::open_request::OpenRequest;

/// A request's credits, set aside and acknowledged: with this the provider may be called. Spent by [`Hold::settle`] or
/// [`Hold::release`]; dropped unspent, it is released, logged and counted.
#[must_use = "a hold is settled or released"]
pub struct Hold {
    request_id: RequestId,
    amount: Nanocredits,
    /// Gone once it is spent.
    open: Option<Box<OpenRequest>>,
}

impl Hold {
    pub(super) fn new(open: Box<OpenRequest>) -> Self {
        Self { request_id: open.request.request_id, amount: open.request.hold, open: Some(open) }
    }

    /// The request.
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The most that the request can be charged, credits.
    pub fn amount(&self) -> Nanocredits {
        self.amount
    }

    /// The request was answered, wholly or in part: its usage is charged, at most the hold.
    pub fn settle(mut self, usage: UsageRecorded) -> Settling {
        Settling(self.open.take().map(|open| open.settle(usage)))
    }

    /// The request came to nothing: nothing is charged.
    pub fn release(mut self, reason: ReleaseReason, error_message: String) -> Settling {
        Settling(self.open.take().map(|open| open.release(reason, error_message, None)))
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hold({} credits for {})", self.amount, self.request_id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            tracing::error!(request.id = %self.request_id, hold = %self.amount, "a hold was dropped unspent: it is released");
            open.life.shared.metrics.dropped_unspent.add_one();
            open.release(ReleaseReason::GatewayFailed, "the gateway failed while it served this request".into(), None);
        }
    }
}

/// What was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What the request cost its account, credits; nothing after a release.
    pub charged: Nanocredits,
}

/// Why it cannot be said that a request is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The process ends before the acknowledgement came.
    #[error("the process ends before the settlement was acknowledged")]
    Stopped,
}

/// A settlement under way. It runs to its end whether or not it is awaited.
#[derive(Debug)]
pub struct Settling(Option<JoinHandle<Result<Settled, SettleError>>>);

impl Future for Settling {
    type Output = Result<Settled, SettleError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.0 else { return Poll::Ready(Err(SettleError::Stopped)) };
        Pin::new(task).poll(context).map(|ended| ended.unwrap_or(Err(SettleError::Stopped)))
    }
}
