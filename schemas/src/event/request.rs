//! The life of a request: authorized, used, ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ApiKeyId;
use crate::money::{Nanocredits, Picodollars};
use crate::rate::{Bounds, Breakdown, Usage};

/// Which route was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Chat completions.
    Chat,
    /// Responses, OpenAI's newer interface to the same models.
    Response,
    /// Messages, Anthropic's interface.
    Message,
    /// Embeddings.
    Embedding,
    /// Image generations.
    Image,
}

impl RequestKind {
    /// As it is written in events and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Response => "response",
            Self::Message => "message",
            Self::Embedding => "embedding",
            Self::Image => "image",
        }
    }
}

/// The most that a request can cost is set aside; with this event's acknowledgement the provider may be called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestAuthorized {
    /// The key that asked; absent in test mode without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<ApiKeyId>,
    /// Which route.
    pub kind: RequestKind,
    /// Id in the price book.
    pub model: String,
    /// Models that may answer in its place, ids in the price book: the hold is the most that any of them can cost. The usage
    /// says which one answered and is charged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<String>,
    /// Which provider connection is asked first; the usage says which one answered.
    pub upstream: String,
    /// Whether the client wants the answer chunk by chunk.
    pub streamed: bool,
    /// The most that this request can be charged, credits.
    pub hold: Nanocredits,
    /// What the hold was computed from.
    pub bounds: Bounds,
    /// The price book that the request is charged by.
    pub price_version: u32,
    /// Which of the emitter's gates it went through.
    pub gate: u16,
}

/// Where the figures of a usage come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// Counted by us from what was sent and delivered, since the provider's word never came.
    Estimated,
}

/// How a request went, for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageStatus {
    /// Answered.
    Success,
    /// Broke off on the provider's side or ours.
    Error,
    /// The client left.
    Cancelled,
}

impl UsageStatus {
    /// As it is written in events and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What kind of thing went wrong with an answer that had begun. A new name is a new version of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsageErrorCode {
    /// The provider reported an error, or sent what is no answer.
    ProviderError,
    /// The provider fell silent, or took longer than a request may.
    ProviderTimeout,
    /// The provider's stream broke off before its end.
    CutStream,
    /// The client left.
    ClientGone,
    /// The gateway was stopped before the answer ended.
    GatewayStopped,
    /// Nobody said: the event is of version 1, which had words only.
    Unspecified,
}

impl UsageErrorCode {
    /// As it is written in events and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProviderError => "provider_error",
            Self::ProviderTimeout => "provider_timeout",
            Self::CutStream => "cut_stream",
            Self::ClientGone => "client_gone",
            Self::GatewayStopped => "gateway_stopped",
            Self::Unspecified => "unspecified",
        }
    }
}

/// Why an answer was not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsageError {
    /// For programs and reports.
    pub code: UsageErrorCode,
    /// For people, in our own words.
    pub message: String,
}

/// What a request used: a fact, from which the charge follows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRecorded {
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
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<UsageError>,
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

/// A hold became a charge; what is left of it is free again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CreditsDeducted {
    /// Credits. The ledger rates the usage itself; a claim that differs is flagged and moves nothing by its amount.
    pub amount: Nanocredits,
}

/// Why a hold was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The gateway was fenced: its gate refused the authorization.
    Refused,
    /// No acknowledgement came in time; the provider was not called.
    Undecided,
    /// The provider failed before it answered anything.
    ProviderFailed,
    /// The client left before the provider was called.
    ClientGone,
    /// The gateway failed or stopped before the provider answered.
    GatewayFailed,
}

impl ReleaseReason {
    /// As it is written in events and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Undecided => "undecided",
            Self::ProviderFailed => "provider_failed",
            Self::ClientGone => "client_gone",
            Self::GatewayFailed => "gateway_failed",
        }
    }
}

/// A hold was given back; nothing is charged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorizationReleased {
    /// Why.
    pub reason: ReleaseReason,
    /// The `seq` of an authorization that was refused or stayed uncertain, and so may never come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_came: Option<u64>,
    /// The key that asked; absent in test mode without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_id: Option<ApiKeyId>,
    /// Which route.
    pub kind: RequestKind,
    /// Id in the price book.
    pub model: String,
    /// Whether the client wanted the answer chunk by chunk.
    pub streamed: bool,
    /// What went wrong, in our own words.
    pub error_message: String,
    /// From the arrival of the request to its end, milliseconds.
    pub latency_ms: u64,
}

/// Why the ledger ended a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryReason {
    /// Its gateway was fenced, and the longest time that a request may run is over.
    GatewayFenced,
    /// It was read after its gateway's fence, so it never held anything.
    AuthorizedAfterFence,
}

/// A hold was ended by the ledger: settled from its usage if that came, else released.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuthorizationExpired {
    /// Why.
    pub reason: ExpiryReason,
}
