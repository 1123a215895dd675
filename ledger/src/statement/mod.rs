//! The bill of a month (UTC), from an account's events and nothing else.
//!
//! | file | is |
//! |---|---|
//! | `month` | which month, and when it begins and ends |
//! | `bill` | the events go in one by one, a statement comes out; pure |
//! | `proof` | the positions that the month is cut by, and the checkpoint that covers them |
//! | `text`, `csv`, `html` | how it is printed |

mod bill;
mod csv;
mod html;
mod month;
mod proof;
mod text;

use std::io::Write;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::ValueEnum;
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;
use schemas::rate::Usage;
use schemas::tier::Tier;
use serde::Serialize;
use sqlx::PgConnection;

pub use self::bill::Bill;
pub use self::month::Month;
pub use self::proof::{Checkpoint, Cut};
use crate::progress::Progress;
use crate::replay::replay;

/// A bill. Amounts are credits, exact: they are sums of what was charged, and rounded nowhere.
#[derive(Debug, PartialEq, Serialize)]
pub struct Statement {
    /// Who pays.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// Plan at the end.
    pub tier: Tier,
    /// `2026-11`.
    pub month: Month,
    /// The first moment of it.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub until: DateTime<Utc>,
    /// The month is over and nothing more can come into it.
    pub is_final: bool,
    /// Which events it is made of, and how that is proved.
    pub proof: Cut,
    /// Posted before the first event of the month.
    pub opening_balance: Nanocredits,
    /// What was added, in the order of the log.
    pub top_ups: Vec<Transaction>,
    /// What was charged, by model and price version.
    pub charges: Vec<Charge>,
    /// What was corrected, in the order of the log.
    pub adjustments: Vec<Transaction>,
    /// Posted after the last event of the month: opening balance + top-ups + adjustments − charges.
    pub closing_balance: Nanocredits,
    /// The sums.
    pub totals: Totals,
    /// Requests that ended and cost nothing, since nothing was delivered.
    pub requests_not_charged: u64,
    /// Set aside at the end for requests that were running; part of the closing balance.
    pub held: Nanocredits,
    /// Those requests.
    pub open_holds: Vec<OpenHold>,
}

/// What the lists sum up to, credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Totals {
    pub top_ups: Nanocredits,
    pub charges: Nanocredits,
    pub adjustments: Nanocredits,
    /// Requests that were charged.
    pub requests: u64,
    /// Of those, the ones whose tokens we had to count ourselves.
    pub estimated: u64,
}

/// A top-up or an adjustment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// Position of its event.
    pub position: u64,
    /// When that was recorded.
    pub recorded_at: DateTime<Utc>,
    /// The request that it settles, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// A payment's id, for instance.
    pub reference: String,
    /// Why.
    pub why: String,
    /// Credits; less than zero takes.
    pub amount: Nanocredits,
}

/// What the requests to one model cost at one version of the prices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Charge {
    /// Id in the price book.
    pub model: String,
    /// The price book that they were charged by.
    pub price_version: u32,
    /// How many were charged.
    pub requests: u64,
    /// Of those, the ones whose tokens we had to count ourselves, since the provider's word never came.
    pub estimated: u64,
    /// Tokens, images and searches of all of them.
    pub usage: Usage,
    /// Credits.
    pub amount: Nanocredits,
}

/// A request that was running at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OpenHold {
    /// Which.
    pub request_id: RequestId,
    /// What it asked for.
    pub model: String,
    /// Position of its authorization.
    pub position: u64,
    /// When that was recorded.
    pub authorized_at: DateTime<Utc>,
    /// Set aside, credits.
    pub hold: Nanocredits,
}

/// How a statement is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StatementFormat {
    /// For people.
    #[default]
    Text,
    /// A line each amount; the signed amounts of all but the last section sum up to the closing balance.
    Csv,
    /// One object.
    Json,
    /// A page that prints well.
    Html,
}

/// Makes an account's statement of a month from its events.
pub async fn statement(
    db: &mut PgConnection,
    account_id: AccountId,
    month: Month,
    progress: impl FnOnce(u64) -> Progress,
) -> Result<Statement> {
    let cut = proof::cut(db, month).await?;
    let mut bill = Bill::new(account_id, cut.positions.from);
    let mut progress = progress(cut.positions.until);
    let folding = replay(db, Some(account_id), cut.positions.until, &mut progress, |logged, moved, books| {
        bill.take(logged.position, logged.recorded_at, &logged.event, moved, books)
    })
    .await?;
    let account = folding
        .books()
        .accounts
        .get(&account_id)
        .with_context(|| format!("account {account_id} did not exist in {month}"))?;
    bill.close(account, month, cut)
}

impl Statement {
    /// Writes it.
    pub fn write(&self, format: StatementFormat, out: &mut impl Write) -> Result<()> {
        match format {
            StatementFormat::Text => text::write(self, out)?,
            StatementFormat::Csv => csv::write(self, out)?,
            StatementFormat::Json => writeln!(out, "{}", serde_json::to_string(self)?)?,
            StatementFormat::Html => html::write(self, out)?,
        }
        Ok(())
    }
}
