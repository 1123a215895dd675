use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use schemas::event::{ReleaseReason, UsageRecorded};
use schemas::ids::RequestId;
use schemas::money::Nanocredits;

/// A request's credits, set aside and acknowledged: with this the provider may be called. Spent by [`Hold::settle`] or
/// [`Hold::release`]; dropped unspent, it is released, logged and counted.
#[must_use = "a hold is settled or released"]
#[derive(Debug)]
pub struct Hold {
    request_id: RequestId,
    amount: Nanocredits,
}

impl Hold {
    /// The request.
    pub fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The most that the request can be charged, credits.
    pub fn amount(&self) -> Nanocredits {
        self.amount
    }

    /// The request was answered, wholly or in part: its usage is charged, at most the hold.
    pub fn settle(self, _usage: UsageRecorded) -> Settling {
        todo!()
    }

    /// The request came to nothing: nothing is charged.
    pub fn release(self, _reason: ReleaseReason, _error_message: String) -> Settling {
        todo!()
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
pub struct Settling {}

impl Future for Settling {
    type Output = Result<Settled, SettleError>;

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
