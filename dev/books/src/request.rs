use std::sync::Arc;

use schemas::event::{
    AuthorizationReleased, CreditsDeducted, ReleaseReason, RequestAuthorized, RequestKind, UsageRecorded, UsageSource,
    UsageStatus,
};
use schemas::ids::{AccountId, ApiKeyId, RequestId};
use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use schemas::rate::{Bounds, Rating, Usage, ceiling, rate};

use crate::chance::{Chance, new_id};

/// Asked in turn: cheap and dear ones, with and without a cache price.
const MODELS: [&str; 4] =
    ["anthropic/claude-haiku-4.5", "anthropic/claude-sonnet-4.5", "openai/gpt-5-mini", "google/gemini-2.5-flash"];

/// What a gateway still has to say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Authorize,
    Use,
    Deduct,
    Release,
    /// The same ending once more.
    DeductAgain,
}

/// A request in flight.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) request_id: RequestId,
    pub(crate) account_id: AccountId,
    /// Which of the gateways.
    pub(crate) gateway: usize,
    pub(crate) hold: Nanocredits,
    pub(crate) todo: Vec<Next>,
    api_key_id: ApiKeyId,
    model: &'static str,
    book: Arc<PriceBook>,
    bounds: Bounds,
    usage: Usage,
    rating: Rating,
    streamed: bool,
    cancelled: bool,
}

impl Request {
    pub(crate) fn begin(
        chance: &mut Chance,
        book: &Arc<PriceBook>,
        account_id: AccountId,
        api_key_id: ApiKeyId,
        gateway: usize,
    ) -> anyhow::Result<Self> {
        let model = MODELS[chance.below(MODELS.len() as u64) as usize];
        let input_tokens = 20 + chance.below(6_000);
        let bounds = Bounds { input_tokens: input_tokens + 400, output_tokens: 4_096, ..Bounds::default() };
        let usage = Usage {
            input_tokens,
            cached_tokens: if chance.permille(300) { input_tokens / 2 } else { 0 },
            output_tokens: 1 + chance.below(1_500),
            ..Usage::default()
        };
        // What comes last is said first: the list is taken from its end.
        let todo = match chance.below(1_000) {
            0..920 => vec![Next::Deduct, Next::Use, Next::Authorize],
            920..940 => vec![Next::Use, Next::Deduct, Next::Authorize],
            940..945 => vec![Next::DeductAgain, Next::Deduct, Next::Use, Next::Authorize],
            945..955 => vec![Next::Authorize, Next::Deduct, Next::Use],
            // The provider answered after all.
            955..957 => vec![Next::Use, Next::Release, Next::Authorize],
            _ => vec![Next::Release, Next::Authorize],
        };
        Ok(Self {
            request_id: RequestId(new_id()),
            account_id,
            gateway,
            hold: ceiling(book, model, &bounds)?,
            todo,
            api_key_id,
            model,
            book: book.clone(),
            bounds,
            usage,
            rating: rate(book, model, &usage)?,
            streamed: chance.permille(600),
            cancelled: chance.permille(20),
        })
    }

    pub(crate) fn authorized(&self) -> RequestAuthorized {
        RequestAuthorized {
            api_key_id: Some(self.api_key_id),
            kind: RequestKind::Chat,
            model: self.model.to_owned(),
            fallbacks: Vec::new(),
            upstream: "provider".to_owned(),
            streamed: self.streamed,
            hold: self.hold,
            bounds: self.bounds,
            price_version: self.book.version,
            gate: (self.request_id.0.as_u128() % 64) as u16,
        }
    }

    pub(crate) fn used(&self) -> UsageRecorded {
        UsageRecorded {
            api_key_id: Some(self.api_key_id),
            kind: RequestKind::Chat,
            model: self.model.to_owned(),
            served_model: Some(self.model.to_owned()),
            provider: self.model.split_once('/').map_or("", |(maker, _)| maker).to_owned(),
            upstream: "provider".to_owned(),
            provider_request_id: Some(format!("gen_{}", self.request_id.0.simple())),
            usage: self.usage,
            source: if self.cancelled { UsageSource::Estimated } else { UsageSource::Provider },
            status: if self.cancelled { UsageStatus::Cancelled } else { UsageStatus::Success },
            error: None,
            latency_ms: 300 + self.usage.output_tokens,
            ttft_ms: Some(120 + self.usage.input_tokens / 50),
            streamed: self.streamed,
            price_version: self.book.version,
            cost_usd: self.rating.cost_usd,
            provider_cost_usd: (!self.cancelled).then_some(self.rating.cost_usd),
            charge: self.rating.charge,
            breakdown: self.rating.breakdown,
        }
    }

    pub(crate) fn deducted(&self) -> CreditsDeducted {
        CreditsDeducted { amount: self.rating.charge.min(self.hold) }
    }

    pub(crate) fn released(&self) -> AuthorizationReleased {
        AuthorizationReleased {
            reason: ReleaseReason::ProviderFailed,
            never_came: None,
            api_key_id: Some(self.api_key_id),
            kind: RequestKind::Chat,
            model: self.model.to_owned(),
            streamed: self.streamed,
            error_message: "the provider answered 502".to_owned(),
            latency_ms: 210,
        }
    }
}
