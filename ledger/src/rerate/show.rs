//! A listing that is written as it comes: text, one JSON object, or CSV.

use std::io::{Result, Write};

use clap::ValueEnum;

use super::{Line, Plan, Run, Total, Totals, prices_hash};

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Format {
    Text,
    Json,
    Csv,
}

/// Writes lines as they come.
pub struct Listing<W> {
    format: Format,
    out: W,
    any: bool,
}

impl<W: Write> Listing<W> {
    /// To be written there.
    pub fn new(format: Format, out: W) -> Self {
        Self { format, out, any: false }
    }

    pub(super) fn begin(&mut self, plan: &Plan, overlapping: &[Run]) -> Result<()> {
        let (run, hash) = (&plan.run, prices_hash(&plan.prices));
        match self.format {
            Format::Text => {
                let (from, until) = (run.range.from, run.range.until);
                writeln!(self.out, "positions {from} to {until} at prices {hash}; run {}", run.id)?;
                for other in overlapping {
                    let (from, until) = (other.range.from, other.range.until);
                    writeln!(self.out, "ATTENTION: run {} has compensated positions {from} to {until}", other.id)?;
                }
                writeln!(
                    self.out,
                    "\n{:36}  {:7}  {:32}  {:>8}  {:>18}  {:>18}  {:>18}",
                    "account", "money", "model", "requests", "charged", "would be", "difference"
                )
            }
            Format::Json => {
                let run = serde_json::to_string(run)?;
                let overlapping = serde_json::to_string(overlapping)?;
                write!(self.out, r#"{{"run":{run},"prices":"{hash}","overlapping_runs":{overlapping},"lines":["#)
            }
            Format::Csv => writeln!(
                self.out,
                "account_id,livemode,model,requests,open,charged,would_be,difference,adjusted,loss,position"
            ),
        }
    }

    pub(super) fn line(&mut self, line: &Line) -> Result<()> {
        match self.format {
            Format::Text => self.text(line)?,
            Format::Json => {
                let comma = if self.any { "," } else { "" };
                write!(self.out, "{comma}\n{}", serde_json::to_string(line)?)?;
            }
            Format::Csv => {
                let text = |amount: Option<String>| amount.unwrap_or_default();
                writeln!(
                    self.out,
                    "{},{},{},{},{},{},{},{},{},{},{}",
                    line.account_id,
                    line.livemode,
                    quoted(&line.model),
                    line.requests,
                    line.open,
                    line.old,
                    text(line.new.map(|it| it.to_string())),
                    text(line.difference.map(|it| it.to_string())),
                    text(line.adjusted.map(|it| it.amount.to_string())),
                    text(line.adjusted.map(|it| it.loss.to_string())),
                    text(line.adjusted.map(|it| it.position.to_string()))
                )?;
            }
        }
        self.any = true;
        Ok(())
    }

    fn text(&mut self, line: &Line) -> Result<()> {
        let said = |amount: Option<schemas::money::Nanocredits>| {
            amount.map_or_else(|| "no price".to_owned(), |amount| amount.to_string())
        };
        write!(
            self.out,
            "{}  {:7}  {:32}  {:>8}  {:>18}  {:>18}  {:>18}",
            line.account_id,
            money(line.livemode),
            line.model,
            line.requests,
            line.old.to_string(),
            said(line.new),
            line.difference.map_or_else(|| "-".to_owned(), |difference| difference.to_string())
        )?;
        if line.open > 0 {
            write!(self.out, "  {} open", line.open)?;
        }
        if let Some(adjusted) = line.adjusted {
            let what = if adjusted.amount.is_negative() { "taken" } else { "given" };
            let amount = adjusted.amount.to_string();
            let before = if adjusted.before { "done before: " } else { "" };
            write!(self.out, "  {before}{what} {} at {}", amount.trim_start_matches('-'), adjusted.position)?;
            if adjusted.loss.get() > 0 {
                write!(self.out, ", {} lost", adjusted.loss)?;
            }
        }
        writeln!(self.out)
    }

    pub(super) fn end(&mut self, totals: &Totals) -> Result<()> {
        match self.format {
            Format::Text => {
                writeln!(self.out)?;
                for (name, total) in [("live", &totals.live), ("sandbox", &totals.sandbox)] {
                    let Total { requests, open, old, new, difference, given, taken, loss } = total;
                    if requests + open > 0 {
                        writeln!(
                            self.out,
                            "{name:7}  {requests} requests: charged {old}, would be {new}, difference {difference}; \
                             {open} open; given {given}, taken {taken}, lost {loss}"
                        )?;
                    }
                }
                for model in &totals.missing_models {
                    writeln!(self.out, "NO PRICE for {model}: its requests are in no sum and are not compensated")?;
                }
            }
            Format::Json => writeln!(self.out, "\n],\"totals\":{}}}", serde_json::to_string(totals)?)?,
            Format::Csv => {}
        }
        self.out.flush()
    }
}

fn money(livemode: bool) -> &'static str {
    if livemode { "live" } else { "sandbox" }
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
