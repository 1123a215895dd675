//! Whether one request is right: its books, the read model, the provider's bill and its client's ears agree. Pure.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::evidence::{Line, Logged};
use crate::client::{Ended, Heard, scaled};

/// The customer pays the provider's cost and 60 %: a dollar of cost is 160 credits.
const CREDITS_A_DOLLAR: i64 = 160;
/// Picodollars for a token in and out: $3 and $15 a million.
const TOKEN_COSTS: (i64, i64) = (3_000_000, 15_000_000);
/// Said when an answer is ready and its charge is on its way.
const SETTLED_LATER: &str = "settlement_unconfirmed";

/// What is known of a request.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// By its client; none of one that heard no id.
    pub heard: Option<&'a Heard>,
    /// In the books.
    pub line: Option<&'a Line>,
    /// At the provider, if it was called.
    pub billed: Option<&'a Value>,
    /// Its authorization need not count: see [`super::Evidence::wrong`].
    pub excused: bool,
}

/// Says what is wrong with it.
///
/// # Errors
/// That.
pub fn judge(id: &str, case: &Case<'_>) -> Result<()> {
    let judged = match case.heard.map(|heard| &heard.ended) {
        Some(Ended::Complete { prompt_tokens, completion_tokens, charged }) => {
            let told = (i64::try_from(*prompt_tokens)?, i64::try_from(*completion_tokens)?);
            complete(case, told, *charged)
        }
        Some(Ended::Refused { code, .. }) if code != SETTLED_LATER => refused(case),
        _ => Ok(()),
    };
    judged
        .and_then(|()| case.billed.map_or(Ok(()), |billed| called(case, billed)))
        .and_then(|()| case.line.map_or(Ok(()), |line| paid(case, line)))
        .with_context(|| format!("{id}: {case:?}"))
}

/// A complete answer is charged once, exactly.
fn complete(case: &Case<'_>, tokens: (i64, i64), charged: i64) -> Result<()> {
    let line = case.line.context("it was answered and is in no book")?;
    let logged = line.logged.as_ref().context("it was answered and is not in usage_logs")?;
    let usage = line.usage.context("it was answered and no usage came")?;
    ensure!(charged == usage.min(line.hold), "its client was told another charge");
    ensure!(line.late || line.charged == Some(charged), "its client was told another charge than was made");
    ensure!(logged.tokens == tokens, "its client was told other tokens");
    ensure!(logged.status == "success" && logged.source.as_deref() == Some("provider"), "it is not logged as answered");
    let billed = case.billed.context("it was answered and the provider was not asked")?;
    ensure!(billed["status"] == "completed", "it was answered, and the provider says it was not");
    Ok(())
}

/// Who is refused pays nothing.
fn refused(case: &Case<'_>) -> Result<()> {
    ensure!(case.line.is_none_or(|line| line.paid() == 0), "it was refused, and is charged");
    Ok(())
}

/// The provider is called once for a request, and only if its authorization counts; what it answered to the end is never
/// given up by a gateway that heard it.
fn called(case: &Case<'_>, billed: &Value) -> Result<()> {
    let line = case.line.context("the provider was called, and no book knows of it")?;
    ensure!(line.counts || case.excused, "the provider was called, and its authorization does not count");
    ensure!(billed["calls"] == 1, "the provider was called more than once");
    ensure!(billed["status"] != "in_flight", "the provider still answers");
    let given_up = line.ending.as_deref() == Some("released");
    ensure!(!given_up || billed["status"] != "completed", "it was answered to the end, and released");
    Ok(())
}

/// What is charged was delivered, at the price, and never more than the hold; all else that was used is the platform's loss.
fn paid(case: &Case<'_>, line: &Line) -> Result<()> {
    let credits_used = line.logged.as_ref().map_or(0, |logged| logged.credits_used);
    ensure!(credits_used == line.charged.unwrap_or(0), "usage_logs has another charge than the books");
    ensure!(line.paid() <= line.hold, "it paid more than its hold");
    let Some(usage) = line.usage else {
        ensure!(line.paid() == 0 && line.lost() == 0, "it is charged without a usage");
        return Ok(());
    };
    let logged = line.logged.as_ref().context("it was used and is not in usage_logs")?;
    let billed = case.billed.context("it was used, and the provider was not asked")?;
    delivered(logged, billed)?;
    let cost = logged.tokens.0 * TOKEN_COSTS.0 + logged.tokens.1 * TOKEN_COSTS.1;
    ensure!(logged.cost_usd == cost, "it costs the provider {cost} picodollars");
    // Picodollars to nanocredits, rounded once, half up.
    let due = (cost * CREDITS_A_DOLLAR + 500) / 1_000;
    ensure!(usage == due, "its usage is worth {due} nanocredits");
    match line.charged {
        Some(charged) => ensure!(charged == due.min(line.hold) && !line.late, "its charge should be {due}"),
        None => ensure!(line.late, "it was used and has ended, and is not charged"),
    }
    ensure!(line.paid() + line.lost() == due, "{due} were used: they are not all paid or borne");
    Ok(())
}

/// The provider's own figures to the token, or an estimate that is not beyond what it delivered.
fn delivered(logged: &Logged, billed: &Value) -> Result<()> {
    let tokens = |name: &str| billed[name].as_i64().with_context(|| format!("no {name} in {billed}"));
    let (input, output) = (tokens("prompt_tokens")?, tokens("completion_tokens")?);
    match logged.source.as_deref() {
        Some("provider") => {
            ensure!(billed["status"] == "completed", "the provider's word came for an answer that had no end");
            ensure!(logged.tokens == (input, output), "the provider bills other tokens");
            let cost = scaled(billed["cost_usd"].as_str().context("no cost_usd")?, 12)?;
            ensure!(logged.cost_usd == cost, "the provider bills another cost");
        }
        // A token that has begun is a token.
        Some("estimated") => {
            ensure!(
                logged.tokens.0 <= input && logged.tokens.1 <= output + 1,
                "the estimate is beyond what was delivered"
            );
        }
        _ => anyhow::bail!("nobody says where the usage comes from"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// 100 tokens in and 50 out: $0.00105, which is 0.168 credits.
    const DUE: i64 = 168_000_000;

    fn line() -> Line {
        let logged = Logged {
            credits_used: DUE,
            cost_usd: 1_050_000_000,
            tokens: (100, 50),
            status: "success".to_owned(),
            source: Some("provider".to_owned()),
        };
        Line {
            counts: true,
            ending: Some("deducted".to_owned()),
            hold: 2 * DUE,
            usage: Some(DUE),
            charged: Some(DUE),
            logged: Some(logged),
            ..Line::default()
        }
    }

    fn bill(status: &str, completion_tokens: i64) -> Value {
        json!({ "status": status, "calls": 1, "prompt_tokens": 100, "completion_tokens": completion_tokens,
            "cost_usd": "0.00105" })
    }

    fn heard(ended: Ended) -> Heard {
        Heard { request_id: Some("r".to_owned()), took: Duration::ZERO, ended }
    }

    fn answered(charged: i64) -> Heard {
        heard(Ended::Complete { prompt_tokens: 100, completion_tokens: 50, charged })
    }

    fn says(heard: Option<&Heard>, line: Option<&Line>, billed: Option<&Value>) -> String {
        let case = Case { heard, line, billed, excused: false };
        judge("r", &case).map_or_else(|error| error.root_cause().to_string(), |()| "right".to_owned())
    }

    #[test]
    fn an_answer_is_charged_once_exactly() {
        let (told, billed) = (answered(DUE), bill("completed", 50));
        assert_eq!(says(Some(&told), Some(&line()), Some(&billed)), "right");
        assert_eq!(says(Some(&answered(DUE + 1)), Some(&line()), Some(&billed)), "its client was told another charge");
        assert_eq!(says(Some(&told), None, Some(&billed)), "it was answered and is in no book");
        let lost = Line { usage: None, charged: None, ending: Some("expired".to_owned()), ..line() };
        assert_eq!(says(Some(&told), Some(&lost), Some(&billed)), "it was answered and no usage came");
        let twice = Line { adjusted: DUE, late: true, ..line() };
        assert_ne!(says(Some(&told), Some(&twice), Some(&billed)), "right");
        assert_eq!(says(Some(&told), Some(&line()), Some(&bill("completed", 49))), "the provider bills other tokens");
    }

    #[test]
    fn nothing_is_charged_beyond_what_was_delivered() {
        let mut estimate = line();
        if let Some(logged) = &mut estimate.logged {
            logged.source = Some("estimated".to_owned());
        }
        assert_eq!(says(None, Some(&estimate), Some(&bill("cancelled", 49))), "right");
        let beyond = "the estimate is beyond what was delivered";
        assert_eq!(says(None, Some(&estimate), Some(&bill("cancelled", 48))), beyond);
        assert_eq!(says(None, Some(&estimate), None), "it was used, and the provider was not asked");
        let refusal = heard(Ended::Refused { status: 503, code: "x".to_owned(), retry_after: None, needed: None });
        assert_eq!(says(Some(&refusal), Some(&line()), Some(&bill("completed", 50))), "it was refused, and is charged");
    }

    #[test]
    fn late_usage_is_paid_or_borne() {
        let mut late = Line { charged: None, late: true, adjusted: DUE - 7, late_loss: 7, ..line() };
        if let Some(logged) = &mut late.logged {
            logged.credits_used = 0;
        }
        let (told, billed) = (answered(DUE), bill("completed", 50));
        assert_eq!(says(Some(&told), Some(&late), Some(&billed)), "right");
        late.late_loss = 6;
        assert_ne!(says(Some(&told), Some(&late), Some(&billed)), "right");
    }

    #[test]
    fn no_provider_is_called_for_what_is_not_set_aside() {
        let uncounted = Line { counts: false, ..line() };
        let billed = bill("completed", 50);
        let wrong = "the provider was called, and its authorization does not count";
        assert_eq!(says(None, Some(&uncounted), Some(&billed)), wrong);
        assert_eq!(says(None, None, Some(&billed)), "the provider was called, and no book knows of it");
        let released = Line { ending: Some("released".to_owned()), ..line() };
        assert_eq!(says(None, Some(&released), Some(&billed)), "it was answered to the end, and released");
    }
}
