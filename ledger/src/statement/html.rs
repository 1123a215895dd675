use std::fmt;
use std::io::{Result, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use schemas::money::Nanocredits;

use super::{Statement, Transaction};

/// A page on its own: no script, no font, no picture from elsewhere.
const STYLE: &str = include_str!("statement.css");

/// Text that is no markup.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            char => write!(f, "{char}"),
        })
    }
}

/// A page that prints well.
pub(super) fn write(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let Statement { month, account_id, tier, .. } = statement;
    let mode = if statement.livemode { "live" } else { "sandbox, no real money" };
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Statement {month} of {account_id}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Statement <span>{month}</span></h1>\n<dl>\n\
         <dt>Account</dt><dd class=\"id\">{account_id}</dd>\n<dt>Mode</dt><dd>{mode}</dd>\n<dt>Tier</dt><dd>{tier}</dd>\n\
         <dt>Period</dt><dd>{} to {} (UTC)</dd>\n</dl>\n</header>",
        statement.from.format("%-d %B %Y"),
        (statement.until - chrono::TimeDelta::days(1)).format("%-d %B %Y"),
    )?;
    if !statement.is_final {
        writeln!(
            out,
            "<p class=\"draft\">Not final: the month is not over. This is as of position {} of the ledger.</p>",
            statement.proof.positions.until
        )?;
    }
    summary(statement, out)?;
    charges(statement, out)?;
    transactions(out, "Top-ups", &statement.top_ups)?;
    transactions(out, "Adjustments", &statement.adjustments)?;
    open_holds(statement, out)?;
    proof(statement, out)?;
    writeln!(out, "</body>\n</html>")
}

fn summary(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let totals = &statement.totals;
    writeln!(
        out,
        "<section>\n<table class=\"summary\">\n<thead><tr><th></th><th>Credits</th><th>US$</th></tr></thead>\n<tbody>"
    )?;
    let mut line = |class: &str, what: &str, amount: Nanocredits| {
        let dollars = amount.in_dollars().map_or_else(|_| String::new(), |dollars| dollars.to_string());
        writeln!(out, "<tr{class}><th>{what}</th><td>{amount}</td><td>{dollars}</td></tr>")
    };
    line("", "Opening balance", statement.opening_balance)?;
    line("", "Top-ups", totals.top_ups)?;
    line("", "Adjustments", totals.adjustments)?;
    line("", "Charges", Nanocredits::new(-totals.charges.get()))?;
    line(" class=\"total\"", "Closing balance", statement.closing_balance)?;
    if statement.held != Nanocredits::ZERO {
        line(" class=\"part\"", "of it held for running requests", statement.held)?;
    }
    writeln!(
        out,
        "</tbody>\n</table>\n<p class=\"note\">1 credit is US$ 0.01. Amounts are exact and rounded nowhere.</p>\n</section>"
    )
}

fn charges(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let totals = &statement.totals;
    writeln!(out, "<section>\n<h2>Charges by model</h2>")?;
    if statement.charges.is_empty() {
        writeln!(out, "<p>None.</p>")?;
    } else {
        writeln!(
            out,
            "<table class=\"charges\">\n<thead><tr><th>Model</th><th>Prices</th><th>Requests</th><th>Input tokens</th>\
             <th>Output tokens</th><th>Images</th><th>Credits</th></tr></thead>\n<tbody>"
        )?;
        for charge in &statement.charges {
            let usage = &charge.usage;
            writeln!(
                out,
                "<tr><th>{}{}</th><td>{}</td><td>{}{}</td><td>{}{}{}</td><td>{}{}</td><td>{}</td><td>{}</td></tr>",
                // A long id breaks after its provider, if it must.
                Text(&charge.model).to_string().replace('/', "/<wbr>"),
                Part(usage.searches, "web searches"),
                charge.price_version,
                Count(charge.requests),
                Part(charge.estimated, "estimated*"),
                Count(usage.input_tokens),
                Part(usage.cached_tokens, "cached"),
                Part(usage.cache_write_tokens, "cache write"),
                Count(usage.output_tokens),
                Part(usage.reasoning_tokens, "reasoning"),
                Count(usage.images),
                charge.amount
            )?;
        }
        writeln!(
            out,
            "</tbody>\n<tfoot><tr class=\"total\"><th>Total</th><td></td><td>{}</td><td colspan=\"3\"></td><td>{}</td></tr></tfoot>\n</table>",
            Count(totals.requests),
            totals.charges
        )?;
    }
    if totals.estimated > 0 {
        writeln!(
            out,
            "<p class=\"note\">* Their provider did not say its figures: tokens were counted from what was sent and delivered.</p>"
        )?;
    }
    if statement.requests_not_charged > 0 {
        writeln!(
            out,
            "<p class=\"note\">{} requests ended without a charge.</p>",
            Count(statement.requests_not_charged)
        )?;
    }
    writeln!(out, "</section>")
}

fn transactions(out: &mut impl Write, title: &str, of: &[Transaction]) -> Result<()> {
    if of.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section>\n<h2>{title}</h2>\n<table>\n<thead><tr><th>Recorded (UTC)</th><th>Reference</th><th>Why</th>\
         <th>Position</th><th>Credits</th></tr></thead>\n<tbody>"
    )?;
    for one in of {
        let request =
            one.request_id.map_or_else(String::new, |id| format!("<br><small class=\"id\">request {id}</small>"));
        writeln!(
            out,
            "<tr><td class=\"left time\">{}</td><td class=\"left\">{}</td><td class=\"left\">{}{request}</td><td>{}</td><td>{}</td></tr>",
            time(one.recorded_at),
            Text(&one.reference),
            Text(&one.why),
            one.position,
            one.amount
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn open_holds(statement: &Statement, out: &mut impl Write) -> Result<()> {
    if statement.open_holds.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<section>\n<h2>Requests that were running at the end</h2>\n<table>\n<thead><tr><th>Since (UTC)</th>\
         <th>Request</th><th>Model</th><th>Position</th><th>Credits held</th></tr></thead>\n<tbody>"
    )?;
    for open in &statement.open_holds {
        writeln!(
            out,
            "<tr><td class=\"left time\">{}</td><td class=\"left id\">{}</td><td class=\"left\">{}</td><td>{}</td><td>{}</td></tr>",
            time(open.authorized_at),
            open.request_id,
            Text(&open.model),
            open.position,
            open.hold
        )?;
    }
    writeln!(out, "</tbody>\n</table>\n</section>")
}

fn proof(statement: &Statement, out: &mut impl Write) -> Result<()> {
    let positions = statement.proof.positions;
    writeln!(out, "<footer>\n<h2>Proof</h2>")?;
    match positions.from <= positions.until {
        true => writeln!(
            out,
            "<p>This statement is made of this account's events at the positions {} to {} of the ledger: those that were \
             recorded in the month.</p>",
            positions.from, positions.until
        )?,
        false => {
            writeln!(out, "<p>No events were recorded in the month; it lies before position {}.</p>", positions.from)?
        }
    }
    match &statement.proof.checkpoint {
        Some(checkpoint) => writeln!(
            out,
            "<p>They are covered by this signed checkpoint of the ledger:</p>\n<dl>\n<dt>Origin</dt><dd class=\"id\">{}</dd>\n\
             <dt>Size</dt><dd>{}</dd>\n<dt>Root</dt><dd class=\"id\">{}</dd>\n</dl>",
            Text(&checkpoint.origin),
            checkpoint.size,
            Text(&checkpoint.root)
        )?,
        None => writeln!(out, "<p>No signed checkpoint of the ledger covers them yet.</p>")?,
    }
    writeln!(out, "</footer>")
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true).replace('T', " ").replace('Z', "")
}

/// What a cell's figure has of something, on a line below it; nothing where it has none.
struct Part(u64, &'static str);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, what) = *self;
        if count == 0 { Ok(()) } else { write!(f, "<br><small>{} {what}</small>", Count(count)) }
    }
}

/// A count with its thousands apart.
struct Count(u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (number, digit) in digits.chars().enumerate() {
            if number > 0 && (digits.len() - number).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_no_markup() {
        assert_eq!(Text("<b a='1'>&\"").to_string(), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn thousands_stand_apart() {
        let written = [0, 999, 1_000, 1_234_567].map(|count| Count(count).to_string());
        assert_eq!(written, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
