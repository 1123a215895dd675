use std::io::{Result, Write};

use chrono::SecondsFormat;
use schemas::money::Nanocredits;

use super::{Statement, Transaction};
use crate::csv::row;

const HEAD: [&str; 18] = [
    "section",
    "position",
    "recorded_at",
    "reference",
    "why",
    "request_id",
    "model",
    "price_version",
    "requests",
    "estimated",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "images",
    "searches",
    "credits",
];

/// A line each amount. Those from `opening_balance` to `adjustment` sum up to `closing_balance`; `open_hold` is a part of it.
pub(super) fn write(statement: &Statement, out: &mut impl Write) -> Result<()> {
    row(out, HEAD)?;
    balance(out, "opening_balance", statement.opening_balance)?;
    for top_up in &statement.top_ups {
        transaction(out, "top_up", top_up)?;
    }
    for charge in &statement.charges {
        let usage = &charge.usage;
        let counts = [
            u64::from(charge.price_version),
            charge.requests,
            charge.estimated,
            usage.input_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.images,
            usage.searches,
        ];
        let amount = Nanocredits::new(-charge.amount.get()).to_string();
        let mut cells = vec!["charge".to_owned()];
        cells.resize(6, String::new());
        cells.push(charge.model.clone());
        cells.extend(counts.map(|count| count.to_string()));
        cells.push(amount);
        row(out, cells)?;
    }
    for adjustment in &statement.adjustments {
        transaction(out, "adjustment", adjustment)?;
    }
    balance(out, "closing_balance", statement.closing_balance)?;
    for open in &statement.open_holds {
        let time = open.authorized_at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let first = ["open_hold".to_owned(), open.position.to_string(), time, String::new(), String::new()];
        let mut cells = first.to_vec();
        cells.extend([open.request_id.to_string(), open.model.clone()]);
        last(out, cells, open.hold)?;
    }
    Ok(())
}

fn balance(out: &mut impl Write, section: &str, amount: Nanocredits) -> Result<()> {
    last(out, vec![section.to_owned()], amount)
}

fn transaction(out: &mut impl Write, section: &str, one: &Transaction) -> Result<()> {
    let time = one.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    let request = one.request_id.map_or_else(String::new, |id| id.to_string());
    let cells =
        vec![section.to_owned(), one.position.to_string(), time, one.reference.clone(), one.why.clone(), request];
    last(out, cells, one.amount)
}

/// The cells that there are, then the amount in its column.
fn last(out: &mut impl Write, mut cells: Vec<String>, amount: Nanocredits) -> Result<()> {
    cells.resize(HEAD.len() - 1, String::new());
    cells.push(amount.to_string());
    row(out, cells)
}
