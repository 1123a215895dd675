use std::io::Write;

use anyhow::Result;
use chrono::SecondsFormat;
use schemas::books::Account;
use schemas::event::Payload;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::csv;
use crate::format::Format;
use crate::log::Logged;

/// A line of JSON: the event as it was published, and what its account has after it.
#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    recorded_at: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<&'a str>,
    event: &'a RawValue,
}

/// What stands above the lines. `all`: of all accounts, so each line names its own.
pub(super) fn head(out: &mut impl Write, format: Format, all: bool) -> Result<()> {
    match format {
        Format::Json => {}
        Format::Csv => csv::row(
            out,
            ["position", "recorded_at", "account_id", "request_id", "event", "balance", "held", "available", "what"],
        )?,
        Format::Text => {
            let account = if all { format!("  {:36}", "account") } else { String::new() };
            writeln!(
                out,
                "{:>9}  {:27}{account}  {:22}  {:>20}  {:>20}  {:>20}  what",
                "position", "recorded at", "event", "balance", "held", "available"
            )?;
        }
    }
    Ok(())
}

/// One event, and its account after it.
pub(super) fn event(
    out: &mut impl Write,
    format: Format,
    all: bool,
    logged: &Logged,
    account: Option<&Account>,
) -> Result<()> {
    let amounts = match account {
        Some(account) => {
            Some([account.balance()?, account.held, account.available()?].map(|amount| amount.to_string()))
        }
        None => None,
    };
    let [balance, held, available] = match &amounts {
        Some(amounts) => amounts.each_ref().map(|amount| Some(amount.as_str())),
        None => [None; 3],
    };
    let time = logged.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let header = &logged.event.header;
    let (position, kind) = (logged.position, logged.event.payload.type_name());
    match format {
        Format::Json => {
            let event: &RawValue = serde_json::from_slice(&logged.bytes)?;
            serde_json::to_writer(&mut *out, &Line { position, recorded_at: &time, balance, held, available, event })?;
            writeln!(out)?;
        }
        Format::Csv => {
            let id = |id: Option<uuid::Uuid>| id.map_or_else(String::new, |id| id.to_string());
            let (account_id, request_id) = (id(header.account_id.map(|id| id.0)), id(header.request_id.map(|id| id.0)));
            let (position, what) = (position.to_string(), what(&logged.event.payload));
            let [balance, held, available] = [balance, held, available].map(Option::unwrap_or_default);
            csv::row(out, [&position, &time, &account_id, &request_id, kind, balance, held, available, &what])?;
        }
        Format::Text => {
            let account = match header.account_id {
                _ if !all => String::new(),
                Some(id) => format!("  {id}"),
                None => format!("  {:36}", "-"),
            };
            let [balance, held, available] = [balance, held, available].map(|amount| amount.unwrap_or("-"));
            let what = what(&logged.event.payload);
            writeln!(
                out,
                "{position:>9}  {time:27}{account}  {kind:22}  {balance:>20}  {held:>20}  {available:>20}  {what}"
            )?;
        }
    }
    Ok(())
}

fn what(payload: &Payload) -> String {
    match payload {
        Payload::RequestAuthorized(data) => format!("hold {} for {}", data.hold, data.model),
        Payload::UsageRecorded(data) => format!(
            "{} in, {} out of {}: cost US$ {} at prices {} = {} credits",
            data.usage.input_tokens,
            data.usage.output_tokens,
            data.model,
            data.cost_usd,
            data.price_version,
            data.charge
        ),
        Payload::CreditsDeducted(data) => format!("charge {}", data.amount),
        Payload::AuthorizationReleased(data) => format!("release: {}", data.reason.name()),
        Payload::AuthorizationExpired(_) => "expire".to_owned(),
        Payload::LeaseGranted(data) => format!("granted {} in all to {}", data.granted_total, data.gateway),
        Payload::LeaseReturned(data) => format!("returned {} in all", data.returned_total),
        Payload::CreditsAdded(data) => format!("add {} ({}) by {}", data.amount, data.reference, data.by),
        Payload::CreditsAdjusted(data) => {
            format!("adjust {} ({}) by {}: {}", data.amount, data.reference, data.by, data.why)
        }
        Payload::AccountOpened(data) => format!("tier {} by {}", data.tier, data.by),
        Payload::TierChanged(data) => format!("tier {} by {}", data.tier, data.by),
        Payload::ApiKeyIssued(data) => format!("{}… '{}' by {}", data.key_prefix, data.name, data.by),
        Payload::ApiKeyRevoked(data) => format!("{} by {}", data.api_key_id, data.by),
        Payload::GatewayFenced(data) => format!("life {} is over", data.gateway),
        Payload::PriceBookPublished(data) => format!("prices {} by {}", data.book.version, data.by),
        Payload::QuarantineReplayed(data) => format!("entry {} by {}: {}", data.entry, data.by, data.why),
        Payload::QuarantineDismissed(data) => format!("entry {} by {}: {}", data.entry, data.by, data.why),
    }
}
