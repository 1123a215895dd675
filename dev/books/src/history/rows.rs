//! Rows in the text form that `copy` takes: what the projector writes for the same events.

use std::fmt::Write;

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::event::{ReleaseReason, UsageStatus};

use super::events::{maker, provider_request_id, reference};
use super::usage::{Outcome, told};
use super::year::{Request, Step, Year};

/// The columns of a request that are written.
pub(super) const REQUEST: &str = "version, request_id, created_at, account_id, livemode, hold_credits, hold_counts, ending, ended,
    api_key_id, model_id, provider, upstream, request_type, streamed, price_version, latency_ms, finished_at, position,
    rated_credits, charged_credits, served_model_id, input_tokens, cached_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, images, searches, cost_usd, usage_source, provider_request_id, ttft_ms, status, error_message, error_code";

pub(super) fn request(text: &mut String, version: i32, year: &Year, step: &Step, request: &Request) -> Result<()> {
    let account = year.of(request.rank)?;
    let asked = &request.asked;
    let used = matches!(asked.outcome, Outcome::Used { .. });
    write!(
        text,
        "{version}\t{}\t{}\t{}\t{}\t{}\tt\t{}\tt\t{}\t{}\t{}\tlive\t{}\t{}\t{}\t{}\t{}\t{}\t",
        request.id,
        time(step.time),
        account.id,
        account.livemode,
        asked.hold,
        if used { "deducted" } else { "released" },
        account.keys[request.key].id,
        request.model,
        maker(&request.model),
        asked.kind.name(),
        asked.streamed,
        request.book.version,
        asked.latency_ms,
        time(request.ended_at),
        step.position + if used { 2 } else { 1 },
    )?;
    match &asked.outcome {
        Outcome::Used { usage, rating, status, error, ttft_ms } => {
            let source = if *status == UsageStatus::Success { "provider" } else { "estimated" };
            write!(
                text,
                "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{source}\t{}\t{ttft_ms}\t{}\t",
                rating.charge,
                rating.charge.min(asked.hold),
                request.model,
                usage.input_tokens,
                usage.cached_tokens,
                usage.cache_write_tokens,
                usage.output_tokens,
                usage.reasoning_tokens,
                usage.images,
                usage.searches,
                rating.cost_usd,
                provider_request_id(request),
                status.name(),
            )?;
            match error {
                Some(code) => writeln!(text, "{}\t{}", told(*code), code.name())?,
                None => text.push_str("\\N\t\\N\n"),
            }
        }
        Outcome::Released(reason) => {
            let status = if *reason == ReleaseReason::ClientGone { "cancelled" } else { "error" };
            let name = reason.name();
            writeln!(text, "\\N\t\\N\t\\N\t0\t0\t0\t0\t0\t0\t0\t0\t\\N\t\\N\t\\N\t{status}\t{name}\t{name}")?;
        }
    }
    Ok(())
}

pub(super) const TRANSACTION: &str =
    "version, position, account_id, kind, amount, reference, made_by, reason, livemode, created_at";

pub(super) fn transaction(
    text: &mut String,
    version: i32,
    year: &Year,
    step: &Step,
    (rank, kind, amount, reason): (usize, &str, schemas::money::Nanocredits, &str),
) -> Result<()> {
    let account = year.of(rank)?;
    let (position, reference) = (step.position, reference(step));
    writeln!(
        text,
        "{version}\t{position}\t{}\t{kind}\t{amount}\t{reference}\thistory\t{reason}\t{}\t{}",
        account.id,
        account.livemode,
        time(step.time)
    )?;
    Ok(())
}

pub(super) const BALANCE: &str = "version, account_id, tier, livemode, bought, charged, position, updated_at";

pub(super) const KEY: &str = "version, id, account_id, key_hash, key_prefix, name, is_active, last_used_at, created_at";

/// Balances and keys, as they are at the end.
pub(super) fn accounts(version: i32, year: &Year) -> Result<(String, String)> {
    let (mut balances, mut keys) = (String::new(), String::new());
    for account in year.accounts.iter().flatten() {
        writeln!(
            balances,
            "{version}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            account.id,
            account.tier.name(),
            account.livemode,
            schemas::money::Nanocredits::new(account.bought),
            schemas::money::Nanocredits::new(account.charged),
            account.position,
            time(account.updated_at)
        )?;
        for key in &account.keys {
            let used = key.last_used_at.map_or("\\N".to_owned(), time);
            let (id, hash, prefix, name) = (key.id, &key.hash, &key.prefix, &key.name);
            let issued = time(key.created_at);
            writeln!(keys, "{version}\t{id}\t{}\t{hash}\t{prefix}\t{name}\tt\t{used}\t{issued}", account.id)?;
        }
    }
    Ok((balances, keys))
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
