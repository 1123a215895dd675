//! `GET /v1/generation?id=`: what one request used and cost, from its events, at once.
//!
//! | phase | costs |
//! |---|---|
//! | the request of an answer's id, where that is what was sent | a look at the account's requests of the last day, newest first; where it is not there yet, some at those of the last minutes |
//! | the request's events | one query by its id; for a request that is just ending a few, within a moment |

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use schemas::event::{Payload, ReleaseReason, UsageRecorded, UsageSource, UsageStatus};
use schemas::ids::{AccountId, ApiKeyId, RequestId};
use schemas::money::{MoneyError, Nanocredits};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::amount::Amount;
use super::query::asked;
use super::{Billing, billing, told, unreadable};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::log::request::{Found, PAUSES, find};
use crate::position::At;
use crate::till::Caller;

/// So long an answer is found by its own id; by its request's id, for ever.
const BY_ANSWER: TimeDelta = TimeDelta::hours(24);

/// Which one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// A response's `x-request-id`; or, for a day, the `id` of the answer in it.
    #[schemars(length(min = 1))]
    id: String,
}

/// The envelope that clients know.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    data: Generation,
}

/// A request that has ended. Amounts are US$ as numbers; those named `…_credits` are credits as decimal strings.
#[derive(Debug, Default, Serialize, JsonSchema)]
struct Generation {
    /// The answer's own id; the request's, where the answer had none.
    id: String,
    request_id: Uuid,
    /// The provider's id for its answer.
    upstream_id: Option<String>,
    api_key_id: Option<ApiKeyId>,
    /// When the request came.
    created_at: String,
    /// The model that was asked and is charged.
    model: String,
    /// The model that answered, in the provider's words.
    served_model: Option<String>,
    provider_name: Option<String>,
    /// `chat`, `response`, `message`, `embedding` or `image`.
    api_type: &'static str,
    streamed: bool,
    /// The client left before the end.
    cancelled: bool,
    /// `success`, `error` or `cancelled`.
    status: &'static str,
    /// What went wrong.
    error_code: Option<&'static str>,
    error_message: Option<String>,
    /// Not kept: no word of an answer is.
    finish_reason: Option<String>,
    native_finish_reason: Option<String>,
    /// Charged, later corrections included, US$.
    total_cost: Amount,
    /// The same.
    usage: Amount,
    charged_credits: Nanocredits,
    /// Given (or, below zero, taken) afterwards.
    adjusted_credits: Nanocredits,
    /// The most that it could have cost.
    hold_credits: Option<Nanocredits>,
    is_byok: bool,
    upstream_inference_cost: Option<Amount>,
    cache_discount: Option<Amount>,
    tokens_prompt: u64,
    tokens_completion: u64,
    native_tokens_prompt: u64,
    native_tokens_completion: u64,
    native_tokens_reasoning: u64,
    native_tokens_cached: u64,
    native_tokens_cache_creation: u64,
    num_media_completion: u64,
    num_search_results: u64,
    /// Where the tokens come from: `provider`, or `estimated` where its word never came.
    usage_source: Option<UsageSource>,
    /// Until the first byte of the answer, milliseconds.
    latency: Option<u64>,
    /// Until the last one, milliseconds.
    generation_time: Option<u64>,
    price_version: Option<u32>,
    /// The ledger's position of the last of its events.
    position: u64,
}

impl Default for Amount {
    fn default() -> Self {
        Self::dollars(Nanocredits::ZERO)
    }
}

impl Billing {
    /// The newest request of an account whose answer had this id.
    async fn request_of_answer(
        &self,
        account: AccountId,
        answer: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<RequestId>, sqlx::Error> {
        let id = sqlx::query_scalar!(
            r#"select request_id as "id!" from usage_logs
               where account_id = $1 and created_at >= $3 and provider_request_id = $2
               order by created_at desc limit 1"#,
            account.0,
            answer,
            since
        );
        Ok(id.fetch_optional(&self.pool).await?.map(RequestId))
    }
}

/// `GET /v1/generation?id=`: one of the account's own requests.
///
/// # Errors
/// When there is no such request of this account, it still runs, or the database cannot be read.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<At<Shown>, Error> {
    let id = asked(query)?.id;
    if id.is_empty() {
        return Err(Invalid::missing("id").into());
    }
    let log = edge.log().ok_or(Error::CannotRead)?;
    let request = match id.parse::<Uuid>() {
        Ok(request) if request.get_version_num() == 7 => RequestId(request),
        _ => by_answer(&edge, caller.account_id, &id).await?,
    };
    let found = find(&edge, log, caller.account_id, request).await?;
    if found.events.is_empty() {
        return Err(Error::NoGeneration);
    }
    if !found.sum.complete {
        return Err(Error::GenerationRuns);
    }
    let data = generation(request, &found).map_err(|error| {
        tracing::error!(%error, request.id = %request, "generation.unreadable");
        Error::Internal
    })?;
    Ok(At::written(data.position, Shown { data }))
}

/// The answer's id is known from the read model, which is a moment behind.
async fn by_answer(edge: &Edge, account: AccountId, answer: &str) -> Result<RequestId, Error> {
    // No provider's id is longer than what is kept of it, and none has a NUL in it.
    if answer.len() > 200 || answer.contains('\0') {
        return Err(Error::NoGeneration);
    }
    let (billing, now) = (billing(edge)?, Utc::now());
    let mut since = now - BY_ANSWER;
    for pause in PAUSES {
        if let Some(request) = billing.request_of_answer(account, answer, since).await.map_err(unreadable)? {
            return Ok(request);
        }
        tokio::time::sleep(pause).await;
        // What comes meanwhile is of a request that ran a moment ago.
        since = TimeDelta::from_std(edge.till().request_limit()).map_or(since, |longest| now - longest);
    }
    Err(Error::NoGeneration)
}

fn generation(request: RequestId, found: &Found) -> Result<Generation, MoneyError> {
    let charged = found.sum.charged.unwrap_or_default();
    // What is given afterwards was not charged in the end.
    let cost = Amount::dollars(charged.minus(found.sum.adjusted)?);
    let mut shown = Generation {
        request_id: request.0,
        created_at: told(request.time()),
        total_cost: cost.clone(),
        usage: cost,
        charged_credits: charged,
        adjusted_credits: found.sum.adjusted,
        hold_credits: found.sum.hold,
        status: UsageStatus::Error.name(),
        position: found.events.iter().map(|(position, _)| *position).max().unwrap_or_default(),
        ..Generation::default()
    };
    let mut used = false;
    for (_, event) in &found.events {
        match &event.payload {
            Payload::UsageRecorded(data) => {
                used = true;
                shown.is_of(data);
            }
            Payload::RequestAuthorized(data) if !used => {
                shown.api_key_id = data.api_key_id;
                shown.model.clone_from(&data.model);
                shown.api_type = data.kind.name();
                shown.streamed = data.streamed;
            }
            Payload::AuthorizationReleased(data) if !used => {
                shown.api_key_id = shown.api_key_id.or(data.api_key_id);
                shown.model.clone_from(&data.model);
                shown.api_type = data.kind.name();
                shown.streamed = data.streamed;
                shown.error_code = Some(data.reason.name());
                shown.error_message = Some(data.error_message.clone());
                shown.generation_time = Some(data.latency_ms);
                if data.reason == ReleaseReason::ClientGone {
                    shown.status = UsageStatus::Cancelled.name();
                }
            }
            // In the words of `usage_logs`.
            Payload::AuthorizationExpired(_) if !used => {
                shown.error_code = Some("gateway_silent");
                shown.error_message = Some("its gateway fell silent and was fenced; nothing was charged".to_owned());
            }
            _ => {}
        }
    }
    shown.cancelled = shown.status == UsageStatus::Cancelled.name();
    shown.id = shown.upstream_id.clone().unwrap_or_else(|| request.to_string());
    Ok(shown)
}

impl Generation {
    fn is_of(&mut self, data: &UsageRecorded) {
        let usage = &data.usage;
        self.error_code = data.error.as_ref().map(|error| error.code.name());
        self.error_message = data.error.as_ref().map(|error| error.message.clone());
        self.upstream_id.clone_from(&data.provider_request_id);
        self.api_key_id = data.api_key_id;
        self.model.clone_from(&data.model);
        self.served_model.clone_from(&data.served_model);
        self.provider_name = Some(data.provider.clone());
        self.api_type = data.kind.name();
        self.streamed = data.streamed;
        self.status = data.status.name();
        self.tokens_prompt = usage.input_tokens;
        self.tokens_completion = usage.output_tokens;
        self.native_tokens_prompt = usage.input_tokens;
        self.native_tokens_completion = usage.output_tokens;
        self.native_tokens_reasoning = usage.reasoning_tokens;
        self.native_tokens_cached = usage.cached_tokens;
        self.native_tokens_cache_creation = usage.cache_write_tokens;
        self.num_media_completion = usage.images;
        self.num_search_results = usage.searches;
        self.usage_source = Some(data.source);
        self.latency = data.ttft_ms;
        self.generation_time = Some(data.latency_ms);
        self.price_version = Some(data.price_version);
    }
}
