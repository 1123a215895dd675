//! What is left of a request once its upstream body is written: everything that its settlement needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::event::{RequestKind, UsageError, UsageRecorded, UsageSource, UsageStatus};
use schemas::ids::ApiKeyId;
use schemas::price_book::PriceBook;
use schemas::rate::{Bounds, Usage, rate};

use super::answer::Delivered;
use crate::estimate::{self, Seen};
use crate::upstream::Connection;
use crate::usage::Reported;

/// One request that is being answered.
pub(super) struct Order {
    pub(super) api_key_id: Option<ApiKeyId>,
    pub(super) book: Arc<PriceBook>,
    /// Id in the book: the model that is asked and charged.
    pub(super) model: String,
    pub(super) provider: String,
    pub(super) connection: Connection,
    pub(super) streamed: bool,
    pub(super) include_usage: bool,
    pub(super) bounds: Bounds,
    /// Web searches that an answer of this model includes.
    pub(super) searches: u64,
    /// Whether images that are made are charged one by one.
    pub(super) images_charged: bool,
    pub(super) sent_bytes: u64,
    pub(super) sent_images: u64,
    pub(super) arrived: Instant,
    /// The request ends before this, whatever happens: its hold does not outlive it for long.
    pub(super) until: Instant,
}

/// How the request went.
pub(super) struct Went<'a> {
    pub(super) served_model: Option<&'a str>,
    pub(super) provider_request_id: Option<&'a str>,
    pub(super) reported: Option<Reported>,
    pub(super) delivered: Delivered,
    pub(super) status: UsageStatus,
    pub(super) error: Option<UsageError>,
    pub(super) first_byte: Option<Instant>,
}

impl Order {
    /// What was used: the provider's word if there is one, else an estimate.
    pub(super) fn usage(&self, reported: Option<Reported>, delivered: Delivered) -> (Usage, UsageSource) {
        let images = if self.images_charged { delivered.images } else { 0 };
        match reported {
            Some(Reported { usage, .. }) => {
                (Usage { images, searches: self.searches, ..usage }.consistent(), UsageSource::Provider)
            }
            None => {
                let seen = Seen {
                    sent_bytes: self.sent_bytes,
                    sent_images: self.sent_images,
                    text_bytes: delivered.text_bytes,
                    images,
                    searches: self.searches,
                };
                (estimate::usage(&seen, &self.bounds), UsageSource::Estimated)
            }
        }
    }

    /// The fact, rated; `None` if it cannot be, which no bounded usage is.
    pub(super) fn record(&self, went: &Went<'_>, now: Instant) -> Option<UsageRecorded> {
        let (usage, source) = self.usage(went.reported, went.delivered);
        // A provider may claim more than can be counted; the hold caps the charge anyway.
        let (usage, rating) = match rate(&self.book, &self.model, &usage) {
            Ok(rating) => (usage, rating),
            Err(_) => {
                let usage = estimate::within(&usage, &self.bounds);
                (usage, rate(&self.book, &self.model, &usage).ok()?)
            }
        };
        Some(UsageRecorded {
            api_key_id: self.api_key_id,
            kind: RequestKind::Chat,
            model: self.model.clone(),
            served_model: went.served_model.map(shortened),
            provider: self.provider.clone(),
            upstream: self.connection.name().to_owned(),
            provider_request_id: went.provider_request_id.map(shortened),
            usage,
            source,
            status: went.status,
            error: went.error.clone(),
            latency_ms: milliseconds(now.duration_since(self.arrived)),
            ttft_ms: went.first_byte.map(|at| milliseconds(at.duration_since(self.arrived))),
            streamed: self.streamed,
            price_version: self.book.version,
            cost_usd: rating.cost_usd,
            provider_cost_usd: went.reported.and_then(|reported| reported.cost_usd),
            charge: rating.charge,
            breakdown: rating.breakdown,
        })
    }

    /// How long this may still run.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// How long the client is kept waiting for the acknowledgement of the settlement, which goes on without it.
    pub(super) fn left_to_settle(&self) -> Duration {
        /// An answer that came at the last moment is not thrown away for an acknowledgement that is just under way.
        const LEAST: Duration = Duration::from_secs(10);
        self.left().max(LEAST)
    }
}

/// What a provider calls itself or its answer goes into the log for ever, so it is kept short.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 200;
    text.chars().take(LONGEST).collect()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
