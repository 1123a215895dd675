//! Version 1 of [`UsageRecorded`], as gateways wrote it up to 0.1: what went wrong was words only.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{RequestKind, UsageError, UsageErrorCode, UsageRecorded, UsageSource, UsageStatus};
use crate::ids::ApiKeyId;
use crate::money::{Nanocredits, Picodollars};
use crate::rate::{Breakdown, Usage};

/// What a request used: a fact, from which the charge follows.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "UsageRecorded")]
pub struct UsageRecordedV1 {
    /// The key that asked; absent in test mode without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<ApiKeyId>,
    /// Which route.
    pub kind: RequestKind,
    /// The model that was asked and is charged: an id in the price book.
    pub model: String,
    /// The model that answered, in the provider's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_model: Option<String>,
    /// Who made the model.
    pub provider: String,
    /// Which provider connection was asked.
    pub upstream: String,
    /// The provider's own id for its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    /// Tokens, images and searches.
    pub usage: Usage,
    /// Where they come from.
    pub source: UsageSource,
    /// How it went.
    pub status: UsageStatus,
    /// What went wrong, in our own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// From the arrival of the request to the last byte of the provider's answer, milliseconds.
    pub latency_ms: u64,
    /// From the arrival of the request to the first byte of the provider's answer, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// Whether the answer went out chunk by chunk.
    pub streamed: bool,
    /// The price book that it was rated by.
    pub price_version: u32,
    /// The provider's cost by that price book, US$.
    pub cost_usd: Picodollars,
    /// The provider's cost in its own words, US$, where it said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_cost_usd: Option<Picodollars>,
    /// What it is worth to the customer, credits; never more than the hold is deducted.
    pub charge: Nanocredits,
    /// How the charge came about.
    pub breakdown: Breakdown,
}

/// The upcaster to version 2.
impl From<UsageRecordedV1> for UsageRecorded {
    fn from(old: UsageRecordedV1) -> Self {
        let error = old.error_message.map(|message| UsageError { code: UsageErrorCode::Unspecified, message });
        Self {
            error,
            api_key_id: old.api_key_id,
            kind: old.kind,
            model: old.model,
            served_model: old.served_model,
            provider: old.provider,
            upstream: old.upstream,
            provider_request_id: old.provider_request_id,
            usage: old.usage,
            source: old.source,
            status: old.status,
            latency_ms: old.latency_ms,
            ttft_ms: old.ttft_ms,
            streamed: old.streamed,
            price_version: old.price_version,
            cost_usd: old.cost_usd,
            provider_cost_usd: old.provider_cost_usd,
            charge: old.charge,
            breakdown: old.breakdown,
        }
    }
}
