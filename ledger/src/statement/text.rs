use std::io::{Result, Write};

use chrono::SecondsFormat;
use schemas::money::Nanocredits;

use super::{Statement, Transaction};

/// For people.
pub(super) fn write(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let Statement { month, account_id, tier, totals, .. } = statement;
    let mode = if statement.livemode { "live" } else { "sandbox: no real money" };
    writeln!(out, "Statement {month} (UTC)\naccount  {account_id}  {mode}, tier {tier}")?;
    if !statement.is_final {
        writeln!(out, "NOT FINAL: the month is not over; this is as of position {}", statement.proof.positions.until)?;
    }
    writeln!(out, "All amounts are credits: 1 credit is US$ 0.01.\n")?;
    line(out, "opening balance", statement.opening_balance)?;
    line(out, "top-ups", totals.top_ups)?;
    line(out, "adjustments", totals.adjustments)?;
    line(out, "charges", Nanocredits::new(-totals.charges.get()))?;
    line(out, "closing balance", statement.closing_balance)?;
    if statement.held != Nanocredits::ZERO {
        line(out, "  of it held for running requests", statement.held)?;
    }
    charges(statement, out)?;
    transactions(out, "top-ups", &statement.top_ups)?;
    transactions(out, "adjustments", &statement.adjustments)?;
    if !statement.open_holds.is_empty() {
        writeln!(out, "\nrequests that were running at the end")?;
        for open in &statement.open_holds {
            let time = open.authorized_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            writeln!(
                out,
                "  {:>9}  {time}  {:>20}  {}  {}",
                open.position,
                open.hold.to_string(),
                open.request_id,
                open.model
            )?;
        }
    }
    proof(statement, out)
}

fn line(out: &mut impl Write, what: &str, amount: Nanocredits) -> Result<()> {
    writeln!(out, "{what:34}{:>24}", amount.to_string())
}

fn charges(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let totals = &statement.totals;
    if !statement.charges.is_empty() {
        writeln!(
            out,
            "\n{:34}  {:>6}  {:>9}  {:>9}  {:>14}  {:>14}  {:>14}  {:>14}  {:>14}  {:>7}  {:>20}",
            "charges by model",
            "prices",
            "requests",
            "estimated",
            "input",
            "cached",
            "cache write",
            "output",
            "reasoning",
            "images",
            "credits"
        )?;
    }
    for charge in &statement.charges {
        let usage = &charge.usage;
        writeln!(
            out,
            "{:34}  {:>6}  {:>9}  {:>9}  {:>14}  {:>14}  {:>14}  {:>14}  {:>14}  {:>7}  {:>20}",
            charge.model,
            charge.price_version,
            charge.requests,
            charge.estimated,
            usage.input_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.images,
            charge.amount.to_string()
        )?;
        if usage.searches > 0 {
            writeln!(out, "  with {} web searches", usage.searches)?;
        }
    }
    if totals.estimated > 0 {
        writeln!(
            out,
            "estimated: requests whose provider did not say its figures; counted from what was sent and delivered"
        )?;
    }
    if statement.requests_not_charged > 0 {
        writeln!(out, "\n{} requests ended without a charge", statement.requests_not_charged)?;
    }
    Ok(())
}

fn transactions(out: &mut impl Write, title: &str, of: &[Transaction]) -> Result<()> {
    if of.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for one in of {
        let time = one.recorded_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (amount, reference, why) = (one.amount.to_string(), &one.reference, &one.why);
        let request = one.request_id.map_or_else(String::new, |id| format!(", request {id}"));
        writeln!(out, "  {:>9}  {time}  {amount:>20}  {reference}: {why}{request}", one.position)?;
    }
    Ok(())
}

fn proof(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let positions = statement.proof.positions;
    match positions.from <= positions.until {
        true => writeln!(out, "\nThe month is the positions {} to {} of the ledger.", positions.from, positions.until)?,
        false => writeln!(out, "\nThe month has no events; it lies before position {} of the ledger.", positions.from)?,
    }
    match &statement.proof.checkpoint {
        Some(checkpoint) => writeln!(
            out,
            "They are covered by the checkpoint of {} with size {} and root {}.",
            checkpoint.origin, checkpoint.size, checkpoint.root
        ),
        None => writeln!(out, "No signed checkpoint covers them yet."),
    }
}
