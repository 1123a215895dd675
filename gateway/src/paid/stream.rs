//! An answer chunk by chunk. A task of its own pumps it from the provider to the client and settles it; it outlives the
//! client, since what was delivered is owed.
//!
//! | phase | the client gets | if the client leaves |
//! |---|---|---|
//! | asked | nothing yet: an error can still be a status | charged for the input |
//! | running | each event as it comes | provider dropped at once; charged for what was delivered. Or, by the policy `drain`, heard to its end within a limit, and charged by its word |
//! | settling | comments, to show that we live | settled all the same |
//! | settled | the last events | nothing is left to do |

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use schemas::event::{ReleaseReason, UsageError, UsageErrorCode, UsageStatus};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::asking::Asking;
use super::channel::channel;
use super::cost::Cost;
use super::course::Course;
use super::ending::Ending;
use super::order::{Order, Went};
use super::sold::Sold;
use super::{STOPPED, on_its_own};
use crate::config::OnDisconnect;
use crate::edge::Edge;
use crate::error::{Charged, Error};
use crate::till::{Hold, Settled};
use crate::upstream::{Answering, Failure};

/// Shorter than the shortest patience with a silent connection that is common among proxies.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// The end of the provider's body follows its last event at once; waiting for it keeps the connection for the next request.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// For a usage that no price fits, which no bounded usage is.
const UNRATED: &str = "the usage could not be rated";

/// Begins the stream; returns when there is something to send, or nothing will come. With it comes the model that answers,
/// if another one stands in.
pub(super) async fn begin(
    edge: &Edge,
    order: Order,
    hold: Hold,
    asking: Asking,
) -> Result<(Response, Option<Box<Sold>>), Error> {
    let (client, channel) = channel();
    let (head, begun) = oneshot::channel();
    let ending = Ending::default();
    let pump = Pump {
        edge: edge.clone(),
        course: Course::new(order.route, order.to_ask.connection.clone(), order.include_usage),
        order,
        asking,
        client,
        head: Some(head),
        ending: ending.clone(),
        first_byte: None,
    };
    edge.till().track().spawn(pump.run(hold));
    let other = begun.await.map_err(|_| Error::Crashed)??;
    let mut response = Response::new(Body::new(channel));
    response.extensions_mut().insert(ending);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that gather answers would hold the events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok((response, other))
}

struct Pump {
    edge: Edge,
    order: Order,
    asking: Asking,
    course: Course,
    client: mpsc::Sender<Bytes>,
    head: Option<oneshot::Sender<Result<Option<Box<Sold>>, Error>>>,
    ending: Ending,
    first_byte: Option<Instant>,
}

/// Why the stream is over before its end.
enum Broken {
    ClientGone,
    Stopping,
    Failed(Failure),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Pump {
    async fn run(mut self, hold: Hold) {
        match self.stream(&hold).await {
            Ok(answering) => self.finish(hold, answering).await,
            Err(Broken::ClientGone) => {
                let message = "the client left before the answer ended".to_owned();
                let error = UsageError { code: UsageErrorCode::ClientGone, message };
                let went = self.went(UsageStatus::Cancelled, Some(error));
                self.charge(hold, &went);
            }
            Err(Broken::Stopping) => self.stop(hold).await,
            Err(Broken::Failed(failure)) => self.fail(hold, failure).await,
        }
    }

    /// Moves events until the last one. Whatever breaks it off drops the call to the provider.
    async fn stream(&mut self, hold: &Hold) -> Result<Answering, Broken> {
        let cut = self.edge.cut().clone();
        let calling = self.asking.answer(hold, &mut self.order);
        let mut answering = unless_over(&self.client, &cut, calling).await??;
        self.course.answered_by(&self.order.to_ask.connection);
        match self.forward_all(&mut answering, &cut).await {
            Ok(()) => Ok(answering),
            Err(Broken::ClientGone) => {
                if let OnDisconnect::Drain(limit) = self.edge.on_disconnect() {
                    let drained = timeout(limit.min(self.order.left()), self.drain(&mut answering, &cut)).await;
                    if let Ok(Err(broken)) = drained {
                        return Err(broken);
                    }
                }
                Err(Broken::ClientGone)
            }
            Err(broken) => {
                if matches!(broken, Broken::Failed(_)) {
                    self.asking.broke();
                }
                Err(broken)
            }
        }
    }

    async fn forward_all(&mut self, answering: &mut Answering, cut: &CancellationToken) -> Result<(), Broken> {
        let client = self.client.clone();
        loop {
            let read = unless_over(&client, cut, answering.next()).await??;
            self.first_byte.get_or_insert_with(Instant::now);
            let ended = read.is_none();
            let taken = match read {
                Some(read) => self.course.take(read),
                None => self.course.end(),
            };
            // What came before a break is the client's all the same.
            self.forward().await?;
            taken?;
            if self.course.is_done() {
                return Ok(());
            }
            if ended {
                return Err(Failure::Cut.into());
            }
        }
    }

    /// Hears the answer to its end for nobody, so that it is charged by the provider's word.
    async fn drain(&mut self, answering: &mut Answering, cut: &CancellationToken) -> Result<(), Broken> {
        while !self.course.is_done() {
            let read = tokio::select! {
                biased;
                () = cut.cancelled() => return Err(Broken::Stopping),
                read = answering.next() => read,
            };
            // However it ends: its client is gone, and what came until then is charged.
            let heard = match read {
                Ok(Some(read)) => self.course.take(read),
                Ok(None) | Err(_) => break,
            };
            drop(self.course.out());
            if heard.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn forward(&mut self) -> Result<(), Broken> {
        match self.course.out() {
            Some(out) => self.send(out).await,
            None => Ok(()),
        }
    }

    /// Sends to the client, who may be slow, but not slower than the request may run.
    async fn send(&mut self, bytes: Bytes) -> Result<(), Broken> {
        if let Some(head) = self.head.take() {
            let other = self.order.turned.then(|| Box::new(self.order.sold.clone()));
            head.send(Ok(other)).map_err(|_| Broken::ClientGone)?;
        }
        if let Err(mpsc::error::TrySendError::Full(bytes)) = self.client.try_send(bytes) {
            let sent = timeout(self.order.left(), self.client.send(bytes)).await;
            return sent.ok().and_then(Result::ok).ok_or(Broken::ClientGone);
        }
        if self.client.is_closed() { Err(Broken::ClientGone) } else { Ok(()) }
    }

    /// The answer is whole: settles it, then lets its last events go.
    async fn finish(mut self, hold: Hold, mut answering: Answering) {
        self.ending.comes();
        let Some(record) = self.order.record(&self.went(UsageStatus::Success, None), Instant::now()) else {
            on_its_own(hold.release(ReleaseReason::GatewayFailed, UNRATED.into()));
            return self.report(Error::Internal).await;
        };
        let (usage, source) = (record.usage, record.source);
        let settled = self.settled(hold.settle(record)).await;
        match settled {
            Ok(settled) => {
                self.ending.is(Charged::Yes);
                let words = self.order.route.words();
                let tail = self.course.tail(Cost { words, usage: &usage, source, charged: settled.charged });
                // Gone or not: there is nothing left to do about it.
                let _ = self.send(tail).await;
            }
            Err(error) => self.report(error).await,
        }
        drop(self.client);
        let _ = timeout(LAST_BYTES, answering.next()).await;
    }

    /// Waits for the settlement as long as the client does.
    async fn settled(&mut self, settling: crate::till::Settling) -> Result<Settled, Error> {
        let mut settling = std::pin::pin!(timeout(self.order.left_to_settle(), settling));
        let mut signs = interval(SIGN_OF_LIFE);
        signs.tick().await;
        loop {
            tokio::select! {
                biased;
                settled = &mut settling => return settled.ok().and_then(Result::ok).ok_or(Error::SettlementUnconfirmed),
                _ = signs.tick() => {
                    if self.send(Bytes::from_static(b": settling\n\n")).await.is_err() {
                        return Err(Error::SettlementUnconfirmed);
                    }
                }
            }
        }
    }

    /// The answer broke off: what was delivered is charged.
    fn charge(&self, hold: Hold, went: &Went<'_>) {
        on_its_own(match self.order.record(went, Instant::now()) {
            Some(record) => hold.settle(record),
            None => hold.release(ReleaseReason::GatewayFailed, UNRATED.into()),
        });
    }

    /// The gateway stops: what was delivered is charged, and the client is told.
    async fn stop(mut self, hold: Hold) {
        if self.nothing_came() {
            on_its_own(hold.release(ReleaseReason::GatewayFailed, STOPPED.into()));
            return self.report(Error::Stopping).await;
        }
        let error = UsageError { code: UsageErrorCode::GatewayStopped, message: STOPPED.into() };
        self.charge(hold, &self.went(UsageStatus::Error, Some(error)));
        self.report(Error::StoppingCharged).await;
    }

    fn nothing_came(&self) -> bool {
        self.course.delivered.nothing() && self.course.told.reported.is_none()
    }

    /// The provider failed: what was delivered is charged, and the client is told, never left with a silent end.
    async fn fail(mut self, hold: Hold, failure: Failure) {
        if self.nothing_came() {
            on_its_own(hold.release(ReleaseReason::ProviderFailed, failure.words()));
            return self.report(Error::Upstream(failure)).await;
        }
        let error = UsageError { code: failure.code(), message: failure.words() };
        self.charge(hold, &self.went(UsageStatus::Error, Some(error)));
        self.report(Error::UpstreamCharged(failure)).await;
    }

    /// Tells the client: as a status while there is none yet, else as an event that its SDKs take for an error.
    async fn report(&mut self, error: Error) {
        if let Some(head) = self.head.take() {
            let _ = head.send(Err(error));
            return;
        }
        self.ending.is(error.charged());
        self.edge.metrics().stream_broken(&error);
        let dialect = self.order.route.dialect();
        let event = dialect.stream_error(&error.face(), &self.order.request_id, self.course.events);
        let _ = self.send(event.into()).await;
    }

    fn went(&self, status: UsageStatus, error: Option<UsageError>) -> Went<'_> {
        Went {
            served_model: self.course.model.as_deref(),
            provider_request_id: self.course.id.as_deref(),
            told: self.course.told,
            delivered: self.course.delivered,
            status,
            error,
            first_byte: self.first_byte,
        }
    }
}

/// The result, unless the client leaves or the gateway stops first.
async fn unless_over<T>(
    client: &mpsc::Sender<Bytes>,
    cut: &CancellationToken,
    result: impl Future<Output = T>,
) -> Result<T, Broken> {
    tokio::select! {
        biased;
        result = result => Ok(result),
        () = client.closed() => Err(Broken::ClientGone),
        () = cut.cancelled() => Err(Broken::Stopping),
    }
}
