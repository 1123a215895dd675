//! An account's history: one line an event, with the running balance.

use std::io::Write;

use anyhow::Result;
use schemas::books::{Account, Books};
use schemas::event::Payload;
use schemas::ids::AccountId;
use serde_json::json;
use sqlx::PgConnection;

use crate::log::{Filter, Logged, Pages};

/// Writes the history of an account, as text or as one JSON object a line. Returns the account as of the last event.
pub async fn replay(
    db: &mut PgConnection,
    account_id: AccountId,
    filter: Filter,
    as_json: bool,
    out: &mut impl Write,
) -> Result<Option<Account>> {
    let mut books = Books::default();
    let mut pages = Pages::new(Filter { account: Some(account_id), ..filter });
    if !as_json {
        writeln!(
            out,
            "{:>9}  {:27}  {:22}  {:>20}  {:>20}  {:>20}  what",
            "position", "recorded at", "event", "balance", "held", "available"
        )?;
    }
    loop {
        let page = pages.next(db).await?;
        if page.is_empty() {
            return Ok(books.accounts.remove(&account_id));
        }
        for logged in page {
            // Fences of gateways that never served this account, and its counterpart's opening, apply to nothing here.
            let applied = books.apply(logged.position, &logged.event);
            if logged.event.header.account_id != Some(account_id) {
                continue;
            }
            applied.map_err(|error| anyhow::anyhow!("position {}: {error}", logged.position))?;
            if let Some(account) = books.accounts.get(&account_id) {
                line(out, &logged, account, as_json)?;
            }
        }
    }
}

fn line(out: &mut impl Write, logged: &Logged, account: &Account, as_json: bool) -> Result<()> {
    let (balance, available) = (account.balance()?, account.available()?);
    let kind = logged.event.payload.type_name();
    let time = logged.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    if as_json {
        let event: &serde_json::value::RawValue = serde_json::from_slice(&logged.bytes)?;
        let line = json!({
            "position": logged.position, "recorded_at": time, "balance": balance, "held": account.held,
            "available": available, "event": event,
        });
        writeln!(out, "{line}")?;
    } else {
        let what = what(&logged.event.payload);
        writeln!(
            out,
            "{:>9}  {time:27}  {kind:22}  {balance:>20}  {:>20}  {available:>20}  {what}",
            logged.position,
            account.held.to_string(),
            balance = balance.to_string(),
            available = available.to_string()
        )?;
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
        Payload::GatewayFenced(_)
        | Payload::PriceBookPublished(_)
        | Payload::QuarantineReplayed(_)
        | Payload::QuarantineDismissed(_) => String::new(),
    }
}
