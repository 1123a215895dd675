//! A listing that is written as it comes: text, or one JSON object.

use std::io::Write;

use schemas::event::UsageSource;
use schemas::ids::{AccountId, RequestId};
use schemas::message::CreditsAdjustedReply;
use schemas::money::{MoneyError, Nanocredits};
use serde::Serialize;

use super::Plan;
use super::figures::{Difference, Figures};
use super::ours::Ours;
use super::record::{Call, Group};
use super::true_up::TrueUp;

/// What is wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Figures differ, and the provider's word had come; an operator decides.
    Differs,
    /// We had estimated, and the provider says otherwise.
    Estimated,
    /// The provider knows nothing of it.
    OursOnly,
    /// No usage of ours is of it.
    TheirsOnly,
    /// Ours or theirs is not final yet.
    Open,
}

/// One thing that is listed: a call, or a row of a report.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub struct Item {
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub livemode: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The provider's id, or our request id where that is the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hour: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<UsageSource>,
    /// Of the side that has it.
    pub figures: Figures,
    pub differences: Vec<Difference>,
    /// It was trued up before, by other figures than the provider's of today.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trued_up_by_other_figures: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub true_up: Option<TrueUp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<Adjusted>,
}

/// A true-up that was carried out.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Adjusted {
    pub amount: Nanocredits,
    pub loss: Nanocredits,
    pub position: u64,
}

impl From<CreditsAdjustedReply> for Adjusted {
    fn from(reply: CreditsAdjustedReply) -> Self {
        Self { amount: reply.amount, loss: reply.loss, position: reply.credits.position }
    }
}

impl Item {
    fn empty(kind: Kind) -> Self {
        Self {
            kind,
            position: None,
            account_id: None,
            livemode: None,
            request_id: None,
            provider_request_id: None,
            day: None,
            hour: None,
            model: None,
            source: None,
            figures: Figures::default(),
            differences: Vec::new(),
            trued_up_by_other_figures: false,
            true_up: None,
            adjusted: None,
        }
    }

    pub(super) fn of(ours: &Ours) -> Self {
        Self {
            position: Some(ours.position),
            account_id: Some(ours.account_id),
            livemode: Some(ours.livemode),
            request_id: Some(ours.request_id),
            provider_request_id: ours.data.provider_request_id.clone(),
            model: Some(ours.data.model.clone()),
            source: Some(ours.data.source),
            figures: Figures::of(&ours.data.usage, ours.data.cost_usd),
            ..Self::empty(Kind::Differs)
        }
    }

    pub(super) fn theirs_only(id: String, call: &Call) -> Self {
        let (model, figures) = (call.model.clone(), call.figures);
        Self { provider_request_id: Some(id), model, figures, ..Self::empty(Kind::TheirsOnly) }
    }

    pub(super) fn of_group(kind: Kind, group: &Group, figures: &Figures) -> Self {
        let Group { day, hour, model } = group.clone();
        Self { day, hour, model, figures: *figures, ..Self::empty(kind) }
    }

    /// What it is about, for people.
    fn name(&self) -> String {
        let request = self.request_id.map(|id| id.to_string());
        let provider = self.provider_request_id.clone().filter(|_| request.is_none());
        let parts = [self.position.map(|position| format!("{position:>9}")), request, provider];
        let parts = parts.into_iter().chain([self.day.clone(), self.hour.clone(), self.model.clone()]);
        parts.flatten().collect::<Vec<_>>().join("  ")
    }
}

/// What was moved by true-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Corrections {
    pub given: Nanocredits,
    pub taken: Nanocredits,
    pub loss: Nanocredits,
}

impl Corrections {
    pub(super) fn add(&mut self, amount: Nanocredits, loss: Nanocredits) -> Result<(), MoneyError> {
        self.given = self.given.plus(amount.max(Nanocredits::ZERO))?;
        self.taken = self.taken.minus(amount.min(Nanocredits::ZERO))?;
        self.loss = self.loss.plus(loss)?;
        Ok(())
    }
}

/// What it all comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Everything of ours that was compared.
    pub ours: Figures,
    /// What the provider says of it, and what only it has.
    pub theirs: Figures,
    /// Both say the same.
    pub same: u64,
    /// Figures differ that the provider itself had told us.
    pub differing: u64,
    /// The provider knows nothing of them.
    pub ours_only: u64,
    /// No usage of ours is of them.
    pub theirs_only: u64,
    /// Estimates that differ and have not been trued up.
    pub to_true_up: u64,
    /// Estimates that were trued up now.
    pub trued_up: u64,
    /// Estimates that had been trued up before.
    pub trued_up_before: u64,
    /// Not final yet.
    pub open: u64,
    /// In the provider's record, and in a usage of ours that is not compared: outside the range, or of another account.
    pub elsewhere: u64,
    /// Only in the provider's record, and nothing was billed for it.
    pub unbilled: u64,
    /// Moved on live accounts.
    pub live: Corrections,
    /// Moved on sandbox accounts.
    pub sandbox: Corrections,
}

impl Totals {
    /// Whether something differs that is not settled.
    pub fn differs(&self) -> bool {
        self.differing + self.ours_only + self.theirs_only + self.to_true_up > 0
    }

    pub(super) fn corrections(&mut self, livemode: bool) -> &mut Corrections {
        if livemode { &mut self.live } else { &mut self.sandbox }
    }
}

/// Writes items as they come.
pub struct Listing<W> {
    as_json: bool,
    out: W,
    any: bool,
}

impl<W: Write> Listing<W> {
    /// To be written there.
    pub fn new(as_json: bool, out: W) -> Self {
        Self { as_json, out, any: false }
    }

    pub(super) fn begin(&mut self, plan: &Plan) -> std::io::Result<()> {
        let (range, upstream) = (plan.range, &plan.upstream);
        if self.as_json {
            let (range, upstream) = (serde_json::to_string(&range)?, serde_json::to_string(upstream)?);
            write!(self.out, r#"{{"range":{range},"upstream":{upstream},"items":["#)
        } else {
            let calls =
                upstream.as_ref().map_or_else(|| "all calls".to_owned(), |upstream| format!("calls to '{upstream}'"));
            writeln!(self.out, "positions {} to {}, {calls}", range.from, range.until)
        }
    }

    pub(super) fn item(&mut self, item: &Item) -> std::io::Result<()> {
        if self.as_json {
            let comma = if self.any { "," } else { "" };
            self.any = true;
            return write!(self.out, "{comma}\n{}", serde_json::to_string(item)?);
        }
        let kind = match item.kind {
            Kind::Differs => "DIFFERS",
            Kind::Estimated => "ESTIMATED",
            Kind::OursOnly => "OURS ONLY",
            Kind::TheirsOnly => "THEIRS ONLY",
            Kind::Open => "open",
        };
        write!(self.out, "{kind:11}  {}", item.name())?;
        if matches!(item.kind, Kind::OursOnly | Kind::TheirsOnly) {
            write!(self.out, "  US$ {}", item.figures.cost_usd.unwrap_or_default())?;
        }
        for Difference { figure, ours, theirs } in &item.differences {
            write!(self.out, "; {figure} {ours}, the provider says {theirs}")?;
        }
        if item.trued_up_by_other_figures {
            write!(self.out, "; trued up before, by other figures")?;
        }
        if let Some(TrueUp { charge, amount, loss }) = item.true_up {
            write!(self.out, "; costs {charge} credits: {amount} to move")?;
            if loss.get() > 0 {
                write!(self.out, ", {loss} beyond the hold")?;
            }
        }
        if let Some(Adjusted { amount, loss, position }) = item.adjusted {
            write!(self.out, "; moved {amount} at {position}")?;
            if loss.get() > 0 {
                write!(self.out, ", {loss} lost")?;
            }
        }
        writeln!(self.out)
    }

    pub(super) fn end(&mut self, totals: &Totals) -> std::io::Result<()> {
        if self.as_json {
            let ok = !totals.differs();
            writeln!(self.out, "\n],\"totals\":{},\"ok\":{ok}}}", serde_json::to_string(totals)?)?;
            return self.out.flush();
        }
        for (side, figures) in [("ours", &totals.ours), ("theirs", &totals.theirs)] {
            writeln!(
                self.out,
                "{side:11}  {} requests, {} in, {} out, US$ {}",
                figures.requests.unwrap_or(0),
                figures.input_tokens.unwrap_or(0),
                figures.output_tokens.unwrap_or(0),
                figures.cost_usd.unwrap_or_default()
            )?;
        }
        for (count, what) in [
            (totals.same, "the same on both sides"),
            (totals.trued_up_before, "trued up before"),
            (totals.trued_up, "trued up now"),
            (totals.to_true_up, "estimated otherwise: --apply trues them up"),
            (totals.differing, "DIFFER"),
            (totals.ours_only, "ONLY OURS"),
            (totals.theirs_only, "ONLY THEIRS"),
            (totals.open, "not final yet"),
            (totals.elsewhere, "of the provider's belong to usages that were not compared"),
            (totals.unbilled, "of the provider's cost nothing"),
        ] {
            if count > 0 {
                writeln!(self.out, "{count:>11}  {what}")?;
            }
        }
        for (name, Corrections { given, taken, loss }) in [("live", totals.live), ("sandbox", totals.sandbox)] {
            if given.get() + taken.get() + loss.get() > 0 {
                writeln!(self.out, "{name:11}  given {given}, taken {taken}, lost {loss}")?;
            }
        }
        self.out.flush()
    }
}
