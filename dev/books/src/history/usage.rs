use anyhow::Result;
use schemas::event::{ReleaseReason, RequestKind, UsageErrorCode, UsageStatus};
use schemas::money::Nanocredits;
use schemas::price_book::{Kind, Model, PriceBook};
use schemas::rate::{Rating, Usage, rate};

use crate::chance::Chance;

/// What a request is, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) kind: RequestKind,
    pub(super) streamed: bool,
    pub(super) hold: Nanocredits,
    pub(super) latency_ms: u64,
    pub(super) outcome: Outcome,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Used and charged, though perhaps not to its end.
    Used { usage: Usage, rating: Rating, status: UsageStatus, error: Option<UsageErrorCode>, ttft_ms: u64 },
    /// Nothing used.
    Released(ReleaseReason),
}

/// What goes wrong and how it is told.
pub(super) fn told(code: UsageErrorCode) -> &'static str {
    match code {
        UsageErrorCode::ClientGone => "the client left",
        UsageErrorCode::CutStream => "the provider's stream broke off",
        _ => "the provider reported an error",
    }
}

pub(super) fn ask(chance: &mut Chance, book: &PriceBook, model: &Model) -> Result<Asked> {
    let usage = used(chance, model);
    let rating = rate(book, &model.id, &usage)?;
    let ttft_ms = (base_ms(&model.provider) + chance.below(200)) * tail(chance) / 100;
    let latency_ms = ttft_ms + usage.output_tokens * (4 + chance.below(12)) + 900 * usage.images;
    let used = |status, error| Outcome::Used { usage, rating, status, error, ttft_ms };
    let outcome = match chance.below(1_000) {
        0..940 => used(UsageStatus::Success, None),
        940..965 => used(UsageStatus::Cancelled, Some(UsageErrorCode::ClientGone)),
        965..975 => used(UsageStatus::Error, Some(UsageErrorCode::CutStream)),
        975..995 => Outcome::Released(ReleaseReason::ProviderFailed),
        995..998 => Outcome::Released(ReleaseReason::ClientGone),
        _ => Outcome::Released(ReleaseReason::Undecided),
    };
    Ok(Asked {
        kind: match model.kind {
            Kind::Embedding => RequestKind::Embedding,
            Kind::Image => RequestKind::Image,
            Kind::Language => match chance.below(10) {
                0 => RequestKind::Response,
                1 if model.provider == "anthropic" => RequestKind::Message,
                _ => RequestKind::Chat,
            },
        },
        streamed: model.kind == Kind::Language && chance.permille(650),
        hold: Nanocredits::new(rating.charge.get() * 2 + 100_000_000),
        latency_ms: if matches!(outcome, Outcome::Released(_)) { ttft_ms } else { latency_ms },
        outcome,
    })
}

/// Many are small, few are large.
fn used(chance: &mut Chance, model: &Model) -> Usage {
    let skewed =
        |chance: &mut Chance, most: u64| 1 + chance.below(most).min(chance.below(most)).min(chance.below(most));
    let input_tokens = if model.prices.input.is_some() { skewed(chance, 12_000) } else { 0 };
    if model.kind != Kind::Language {
        let images = if model.per_image.is_some() { 1 + chance.below(2) } else { 0 };
        return Usage { input_tokens, images, ..Usage::default() };
    }
    let output_tokens = skewed(chance, 2_500);
    Usage {
        input_tokens,
        cached_tokens: if model.prices.cache_read.is_some() && chance.permille(350) { input_tokens * 4 / 5 } else { 0 },
        output_tokens,
        reasoning_tokens: if chance.permille(150) { output_tokens / 2 } else { 0 },
        ..Usage::default()
    }
}

/// Providers differ, milliseconds to the first byte.
fn base_ms(provider: &str) -> u64 {
    200 + provider.bytes().map(u64::from).sum::<u64>() % 7 * 60
}

/// Most take their time, one in a hundred takes ten times that. Percent.
fn tail(chance: &mut Chance) -> u64 {
    match chance.below(100) {
        0 => 1_000,
        1..10 => 300,
        _ => 80 + chance.below(60),
    }
}
