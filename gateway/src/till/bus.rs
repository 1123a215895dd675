//! The connection to NATS: questions with answers, and events with acknowledgements. Every wait is bounded here; a wait
//! that is over says "unknown", never "no".

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event, HeaderMap, Request, ServerAddr, StatusCode, Subscriber};
use bytes::Bytes;
use schemas::message::Reply;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::timeout;

use super::stored::{NotStored, read_acknowledgement};

/// Older servers have known losses and lack what gates need.
pub(super) const OLDEST_SERVER: (i64, i64, i64) = (2, 12, 3);
/// A server that does not answer is noticed after three of these.
const PING_EVERY: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A connection that is made again whenever it breaks.
#[derive(Clone, Debug)]
pub(super) struct Bus {
    client: Client,
    statistics: Arc<async_nats::Statistics>,
    lost: Arc<AtomicU64>,
    changes: watch::Receiver<u64>,
}

/// No answer came in time, or none that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Silence {
    #[error("nobody listens")]
    NobodyListens,
    #[error("no answer in time")]
    TooLate,
    #[error("the answer cannot be read")]
    Unreadable,
}

impl Bus {
    /// Begins to connect, and goes on for ever.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let addresses = url
            .split(',')
            .map(|address| address.trim().parse::<ServerAddr>())
            .collect::<Result<Vec<_>, _>>()
            .with_context(|| format!("'{url}' is no address of a NATS server"))?;
        let lost = Arc::new(AtomicU64::new(0));
        let (changed, changes) = watch::channel(0);
        let seen_lost = lost.clone();
        let client = ConnectOptions::new()
            .name("layers-gateway")
            .retry_on_initial_connect()
            .max_reconnects(None)
            .connection_timeout(CONNECT_WITHIN)
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(pause_before_attempt)
            .event_callback(move |event| {
                match &event {
                    Event::Connected => tracing::info!("connected to NATS"),
                    Event::SlowConsumer(_) => {
                        // A broadcast was dropped, perhaps a revocation: what is cached of keys is not to be believed.
                        seen_lost.fetch_add(1, Ordering::AcqRel);
                        tracing::warn!("messages of NATS were dropped: this process is too slow");
                    }
                    other => tracing::warn!(nats.event = %other, "NATS"),
                }
                changed.send_modify(|count| *count += 1);
                std::future::ready(())
            })
            .connect(addresses)
            .await?;
        let statistics = client.statistics();
        Ok(Self { client, statistics, lost, changes })
    }

    /// Which connection this is: 0 before the first. It is counted up before anything is read of the new connection, so an
    /// answer that came over it is never taken for one of the connection before.
    pub(super) fn connection(&self) -> u64 {
        self.statistics.connects.load(Ordering::SeqCst)
    }

    /// Changes whenever broadcasts may have been missed: with each connection, and when messages were dropped.
    pub(super) fn unbroken(&self) -> (u64, u64) {
        (self.connection(), self.lost.load(Ordering::Acquire))
    }

    /// There is a connection, as far as is known.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Changes after each change of the connection.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// The server's version, once there was a connection; whether it is new enough.
    pub(super) fn server(&self) -> Option<(String, bool)> {
        let info = self.client.try_server_info()?;
        let (major, minor, patch) = OLDEST_SERVER;
        let fits = self.client.is_server_compatible(major, minor, patch);
        Some((info.version, fits))
    }

    /// Hears everything on a subject, also after a reconnect.
    pub(super) async fn hear(&self, subject: String) -> anyhow::Result<Subscriber> {
        self.client.subscribe(subject.clone()).await.with_context(|| format!("cannot subscribe to {subject}"))
    }

    /// Says something that needs no answer. While there is no connection, nothing is said.
    pub(super) async fn say(&self, subject: impl Into<async_nats::Subject>, message: &impl Serialize) {
        let Ok(bytes) = serde_json::to_vec(message) else { return };
        if self.is_connected() {
            let sent = self.client.publish(subject.into(), bytes.into());
            let _ = timeout(CONNECT_WITHIN, sent).await;
        }
    }

    /// Everything said so far has left.
    pub(super) async fn flush(&self) {
        let _ = timeout(CONNECT_WITHIN, self.client.flush()).await;
    }

    /// Asks the ledger.
    pub(super) async fn ask<A: DeserializeOwned>(
        &self,
        subject: String,
        question: &impl Serialize,
        within: Duration,
    ) -> Result<Reply<A>, Silence> {
        let bytes = serde_json::to_vec(question).map_err(|_| Silence::Unreadable)?;
        let request = Request::new().payload(bytes.into()).timeout(None);
        // `send_request` bounds only the wait for the answer, not the wait for a place in the queue: both are bounded here.
        let answer = timeout(within, self.client.send_request(subject, request)).await;
        match answer {
            Err(_) => Err(Silence::TooLate),
            Ok(Err(_)) => Err(Silence::NobodyListens),
            Ok(Ok(message)) => serde_json::from_slice(&message.payload).map_err(|error| {
                tracing::error!(%error, "the ledger's answer cannot be read");
                Silence::Unreadable
            }),
        }
    }

    /// Puts an event into the stream. `Ok` is the stream's acknowledgement.
    pub(super) async fn store(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        bytes: Bytes,
        within: Duration,
    ) -> Result<(), NotStored> {
        let mut request = Request::new().payload(bytes).timeout(None);
        request.headers = headers;
        match timeout(within, self.client.send_request(subject, request)).await {
            Err(_) => Err(NotStored::Unknown("no acknowledgement in time")),
            Ok(Err(_)) => Err(NotStored::Unknown("no stream")),
            Ok(Ok(message)) if message.status == Some(StatusCode::NO_RESPONDERS) => {
                Err(NotStored::Unknown("no stream"))
            }
            Ok(Ok(message)) => read_acknowledgement(&message.payload),
        }
    }
}

fn pause_before_attempt(attempts: usize) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        2..=20 => Duration::from_millis(50),
        _ => Duration::from_millis(250),
    }
}
