//! What is left of a request once its upstream body is written: everything that its settlement needs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use schemas::event::{UsageError, UsageRecorded, UsageSource, UsageStatus};
use schemas::ids::{ApiKeyId, RequestId};
use schemas::price_book::PriceBook;
use schemas::rate::{Usage, rate};

use super::Finish;
use super::route::Route;
use super::said::Delivered;
use super::sold::Sold;
use crate::estimate::{self, Seen};
use crate::upstream::ToAsk;
use crate::usage::Reported;

/// One request that is being answered.
pub(super) struct Order {
    pub(super) route: &'static dyn Route,
    pub(super) request_id: RequestId,
    pub(super) api_key_id: Option<ApiKeyId>,
    pub(super) book: Arc<PriceBook>,
    /// The model that is asked, and what it can cost.
    pub(super) sold: Sold,
    /// Whether that is another one than was asked first.
    pub(super) turned: bool,
    /// Who is asked, and where.
    pub(super) to_ask: ToAsk,
    pub(super) streamed: bool,
    pub(super) include_usage: bool,
    /// The original Layers' own words go on a whole answer.
    pub(super) tells_layers: bool,
    /// What was sent to the model.
    pub(super) sent: Sent,
    /// What is done with a whole answer before it goes to the client.
    pub(super) finish: Option<Finish>,
    pub(super) arrived: Instant,
    /// The request ends before this, whatever happens: its hold does not outlive it for long.
    pub(super) until: Instant,
}

/// What a model has to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) text_bytes: u64,
    pub(super) tokens: u64,
    pub(super) images: u64,
}

/// What the provider told of the usage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) reported: Option<Reported>,
    /// It was its last word, and nothing was delivered after it.
    pub(super) is_last: bool,
}

/// How the request went.
pub(super) struct Went<'a> {
    pub(super) served_model: Option<&'a str>,
    pub(super) provider_request_id: Option<&'a str>,
    pub(super) told: Told,
    pub(super) delivered: Delivered,
    pub(super) status: UsageStatus,
    pub(super) error: Option<UsageError>,
    pub(super) first_byte: Option<Instant>,
}

impl Order {
    /// What was used: the provider's last word if there is one, else an estimate. What was delivered after it spoke last is
    /// estimated as well, and a provider that has delivered something and says that nothing was used has said nothing.
    pub(super) fn usage(&self, told: Told, delivered: Delivered) -> (Usage, UsageSource) {
        let images = if self.sold.images_charged { delivered.images } else { 0 };
        let seen = Seen {
            sent_bytes: self.sent.text_bytes,
            sent_tokens: self.sent.tokens,
            sent_images: self.sent.images,
            text_bytes: delivered.text(),
            images,
            searches: self.sold.searches,
        };
        let estimated = estimate::usage(&seen, &self.sold.bounds);
        let counted = Usage { images, searches: self.sold.searches, ..Usage::default() };
        let reported = told.reported.map(|reported| reported.usage());
        let is_word = |usage: &Usage| {
            usage.input_tokens > 0 || usage.output_tokens > 0 || !self.sold.by_token || delivered.nothing()
        };
        match reported.filter(is_word) {
            Some(usage) if told.is_last => {
                (Usage { images: counted.images, searches: counted.searches, ..usage }, UsageSource::Provider)
            }
            Some(usage) => {
                let output_tokens = usage.output_tokens.max(estimated.output_tokens);
                let usage = Usage { output_tokens, images: counted.images, searches: counted.searches, ..usage };
                (usage, UsageSource::Estimated)
            }
            // Images are counted, not estimated.
            None if !self.sold.by_token => (counted, UsageSource::Provider),
            None => (estimated, UsageSource::Estimated),
        }
    }

    /// The fact, rated; `None` if it cannot be, which no bounded usage is.
    pub(super) fn record(&self, went: &Went<'_>, now: Instant) -> Option<UsageRecorded> {
        let (usage, source) = self.usage(went.told, went.delivered);
        // A provider may claim more than can be counted; the hold caps the charge anyway.
        let (usage, rating) = match rate(&self.book, &self.sold.model, &usage) {
            Ok(rating) => (usage, rating),
            Err(_) => {
                let usage = estimate::within(&usage, &self.sold.bounds);
                (usage, rate(&self.book, &self.sold.model, &usage).ok()?)
            }
        };
        Some(UsageRecorded {
            api_key_id: self.api_key_id,
            kind: self.route.kind(),
            model: self.sold.model.clone(),
            served_model: went.served_model.map(shortened),
            provider: self.sold.provider.clone(),
            upstream: self.to_ask.connection.name().to_owned(),
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
            provider_cost_usd: went.told.reported.and_then(|reported| reported.cost_usd),
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

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
