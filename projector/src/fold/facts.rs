use chrono::{DateTime, Utc};
use schemas::event::{
    AuthorizationReleased, ReleaseReason, RequestAuthorized, UsageRecorded, UsageSource, UsageStatus,
};
use schemas::money::Picodollars;
use uuid::Uuid;

use super::Poison;

/// What a row of usage says beside money. Several events tell some of it; the usage's word counts first, then the
/// authorization's, then the release's, whichever order they came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Facts {
    pub api_key_id: Option<Uuid>,
    pub model_id: Option<String>,
    pub served_model_id: Option<String>,
    pub provider: Option<String>,
    pub upstream: Option<String>,
    pub request_type: Option<String>,
    pub streamed: Option<bool>,
    pub price_version: Option<i32>,
    pub tokens: Tokens,
    /// By our own rating.
    pub cost_usd: Picodollars,
    pub usage_source: Option<String>,
    pub provider_request_id: Option<String>,
    pub latency_ms: Option<i64>,
    pub ttft_ms: Option<i64>,
    pub status: Option<String>,
    pub error_message: Option<String>,
    /// A short name for it.
    pub error_code: Option<String>,
    /// When the ending that counts was said.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Counts of a usage, as columns hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tokens {
    pub input: i64,
    pub cached: i64,
    pub cache_write: i64,
    pub output: i64,
    pub reasoning: i64,
    pub images: i64,
    pub searches: i64,
}

impl Facts {
    /// An authorization was read, and no usage yet.
    pub(super) fn authorized(&mut self, data: &RequestAuthorized) -> Result<(), Poison> {
        self.price_version = Some(version(data.price_version)?);
        self.api_key_id = data.api_key_id.map(|id| id.0);
        self.model_id = Some(text(&data.model));
        self.provider = Some(maker(&data.model));
        self.upstream = Some(text(&data.upstream));
        self.request_type = Some(data.kind.name().to_owned());
        self.streamed = Some(data.streamed);
        Ok(())
    }

    /// A usage was read.
    pub(super) fn used(&mut self, data: &UsageRecorded, cost_usd: Picodollars) -> Result<(), Poison> {
        let tokens = Tokens {
            input: count(data.usage.input_tokens)?,
            cached: count(data.usage.cached_tokens)?,
            cache_write: count(data.usage.cache_write_tokens)?,
            output: count(data.usage.output_tokens)?,
            reasoning: count(data.usage.reasoning_tokens)?,
            images: count(data.usage.images)?,
            searches: count(data.usage.searches)?,
        };
        *self = Self {
            api_key_id: data.api_key_id.map(|id| id.0),
            model_id: Some(text(&data.model)),
            served_model_id: data.served_model.as_deref().map(text),
            provider: Some(text(&data.provider)),
            upstream: Some(text(&data.upstream)),
            request_type: Some(data.kind.name().to_owned()),
            streamed: Some(data.streamed),
            price_version: Some(version(data.price_version)?),
            tokens,
            cost_usd,
            usage_source: Some(source(data.source).to_owned()),
            provider_request_id: data.provider_request_id.as_deref().map(text),
            latency_ms: Some(count(data.latency_ms)?),
            ttft_ms: data.ttft_ms.map(count).transpose()?,
            status: Some(data.status.name().to_owned()),
            error_message: data.error.as_ref().map(|error| text(&error.message)),
            error_code: data.error.as_ref().map(|error| error.code.name().to_owned()),
            finished_at: self.finished_at,
        };
        Ok(())
    }

    /// A release was read, and no usage; it also names the request where no authorization ever does.
    pub(super) fn released(&mut self, data: &AuthorizationReleased, is_authorized: bool) -> Result<(), Poison> {
        self.latency_ms = Some(count(data.latency_ms)?);
        let status = match data.reason {
            ReleaseReason::ClientGone => UsageStatus::Cancelled,
            _ => UsageStatus::Error,
        };
        self.status = Some(status.name().to_owned());
        self.error_message = Some(text(&data.error_message));
        self.error_code = Some(data.reason.name().to_owned());
        if !is_authorized {
            self.api_key_id = data.api_key_id.map(|id| id.0);
            self.model_id = Some(text(&data.model));
            self.provider = Some(maker(&data.model));
            self.request_type = Some(data.kind.name().to_owned());
            self.streamed = Some(data.streamed);
        }
        Ok(())
    }

    /// The ledger ended it, and there is no usage.
    pub(super) fn expired(&mut self) {
        self.status = Some(UsageStatus::Error.name().to_owned());
        self.error_message = Some("its gateway fell silent and was fenced; nothing was charged".to_owned());
        self.error_code = Some("gateway_silent".to_owned());
    }
}

/// PostgreSQL's text holds every character but NUL, and a provider's words may carry it.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Ids of models begin with who made them.
fn maker(model: &str) -> String {
    text(model.split_once('/').map_or("", |(maker, _)| maker))
}

fn source(source: UsageSource) -> &'static str {
    match source {
        UsageSource::Provider => "provider",
        UsageSource::Estimated => "estimated",
    }
}

fn count(value: u64) -> Result<i64, Poison> {
    i64::try_from(value).map_err(|_| Poison::TooLarge(value))
}

fn version(value: u32) -> Result<i32, Poison> {
    i32::try_from(value).map_err(|_| Poison::TooLarge(value.into()))
}
