//! Our usages against the provider's own record of the same calls, and the true-up of what we had estimated. History is
//! never touched. Why so: docs/decisions/0007-corrections.md.
//!
//! | phase | does |
//! |---|---|
//! | stream | our usages of the range in the order of the log; the provider's word on each, a bounded number asked at a time |
//! | judge | pure: the same, open, ours only, differs, or estimated otherwise |
//! | true up | only estimates, and only when told: one `CreditsAdjusted` a request; a reference moves credits once |
//! | rest | what only the provider has, unless a usage of ours outside the range has it |
//!
//! A report has only sums: both sides are summed up and compared, and nothing can be trued up by it.

mod fetch;
mod figures;
mod ours;
mod provider;
mod record;
mod report;
mod show;
mod true_up;
mod verdict;

use std::collections::HashSet;
use std::io::Write;

use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, future};
use schemas::ids::AccountId;
use schemas::message::{AdjustCredits, CreditsAdjustedReply, command_name};
use sqlx::{PgConnection, PgPool};

pub use figures::{Difference, Figures, Tolerance};
pub use ours::days;
pub use provider::Provider;
pub use record::{Call, Group, Record};
pub use show::{Corrections, Item, Kind, Listing, Totals};
pub use true_up::TrueUp;

use self::ours::Ours;
use self::verdict::{Verdict, verdict};
use crate::asker::Asker;
use crate::price_books::price_books;
use crate::range::Range;

/// So many ids are looked for in the log with one statement.
const LOOKED_FOR: usize = 5_000;

/// What is compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which part of the log.
    pub range: Range,
    /// Only one account's.
    pub account: Option<AccountId>,
    /// The connection whose calls the provider's record is of; all of them without one.
    pub upstream: Option<String>,
    /// What still is the same.
    pub tolerance: Tolerance,
    /// Questions that a provider is asked at a time.
    pub concurrency: usize,
}

impl Plan {
    fn is_of(&self, ours: &Ours) -> bool {
        self.upstream.as_ref().is_none_or(|upstream| *upstream == ours.data.upstream)
    }
}

/// Who trues up, and why.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TruingUp {
    pub asker: Asker,
    pub by: String,
    pub reason: String,
}

/// Compares, lists what differs, and trues up what was estimated if that is wanted.
///
/// # Errors
/// When a server or the provider fails, or the ledger refuses. The same again goes on where it ended.
pub async fn reconcile<W: Write>(
    pool: &PgPool,
    provider: &Provider,
    plan: &Plan,
    truing_up: Option<&TruingUp>,
    listing: &mut Listing<W>,
) -> Result<Totals> {
    let mut db = pool.acquire().await.context("cannot reach PostgreSQL")?;
    listing.begin(plan)?;
    let mut totals = Totals::default();
    if let Provider::Report(rows) = provider {
        report::compare(&mut db, rows, plan, &mut totals, listing).await?;
        listing.end(&totals)?;
        return Ok(totals);
    }
    let prices = price_books(&mut db).await?;
    let mut pairs = ours::ours(&mut db, plan.range, plan.account)
        .try_filter(|ours| future::ready(plan.is_of(ours)))
        .map(|ours| async {
            let ours = ours?;
            let theirs = provider.find(&ours).await?;
            anyhow::Ok((ours, theirs))
        })
        .buffered(plan.concurrency.max(1));
    while let Some((ours, theirs)) = pairs.try_next().await? {
        totals.ours = totals.ours.plus(&Figures::of(&ours.data.usage, ours.data.cost_usd))?;
        if let Some(theirs) = &theirs {
            totals.theirs = totals.theirs.plus(&Figures { requests: Some(1), ..theirs.figures })?;
        }
        let verdict = verdict(&ours, theirs.as_ref(), &prices, &plan.tolerance)
            .with_context(|| format!("the usage at position {}", ours.position))?;
        judged(&ours, theirs.as_ref(), verdict, truing_up, &mut totals, listing).await?;
    }
    drop(pairs);
    theirs_only(&mut db, provider, &mut totals, listing).await?;
    listing.end(&totals)?;
    Ok(totals)
}

/// Counts and lists one usage, and trues it up if so.
async fn judged<W: Write>(
    ours: &Ours,
    theirs: Option<&Call>,
    verdict: Verdict,
    truing_up: Option<&TruingUp>,
    totals: &mut Totals,
    listing: &mut Listing<W>,
) -> Result<()> {
    let mut item = Item::of(ours);
    match verdict {
        Verdict::Same => totals.same += 1,
        Verdict::TruedUp => totals.trued_up_before += 1,
        Verdict::Open => {
            totals.open += 1;
            item.kind = Kind::Open;
            listing.item(&item)?;
        }
        Verdict::OursOnly => {
            totals.ours_only += 1;
            item.kind = Kind::OursOnly;
            listing.item(&item)?;
        }
        Verdict::Differs(differences) => {
            totals.differing += 1;
            item.differences = differences;
            item.trued_up_by_other_figures = ours.trued_up.is_some();
            listing.item(&item)?;
        }
        Verdict::Estimated(differences, due) => {
            item.kind = Kind::Estimated;
            item.differences = differences;
            item.true_up = Some(due);
            match (truing_up, theirs) {
                (Some(truing_up), Some(theirs)) => {
                    let reply = carry_out(ours, theirs, &due, truing_up).await?;
                    totals.trued_up += 1;
                    totals.corrections(ours.livemode).add(reply.amount, reply.loss)?;
                    item.adjusted = Some(reply.into());
                }
                _ => totals.to_true_up += 1,
            }
            listing.item(&item)?;
        }
    }
    Ok(())
}

async fn carry_out(ours: &Ours, theirs: &Call, due: &TrueUp, truing_up: &TruingUp) -> Result<CreditsAdjustedReply> {
    let said = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let ask = AdjustCredits {
        account_id: ours.account_id,
        amount: due.amount,
        loss: due.loss,
        take_what_there_is: true,
        request_id: Some(ours.request_id),
        reference: format!("reconcile:{}", ours.request_id),
        by: truing_up.by.clone(),
        why: format!(
            "{}: estimated {} in and {} out, the provider says {} and {}: {} credits at prices {}",
            truing_up.reason,
            ours.data.usage.input_tokens,
            ours.data.usage.output_tokens,
            said(theirs.figures.input_tokens),
            said(theirs.figures.output_tokens),
            due.charge,
            ours.data.price_version
        ),
    };
    let context = || format!("request {}: the same command again goes on here", ours.request_id);
    truing_up.asker.ask(command_name::ADJUST_CREDITS, &ask).await.with_context(context)
}

/// What is left of the provider's record: calls that no usage of ours is of.
async fn theirs_only<W: Write>(
    db: &mut PgConnection,
    provider: &Provider,
    totals: &mut Totals,
    listing: &mut Listing<W>,
) -> Result<()> {
    let left: Vec<(String, Call, bool)> = match provider {
        Provider::Requests(calls) => {
            let calls: Vec<_> = calls.lock().drain().collect();
            let ids: Vec<_> = calls.iter().map(|(id, _)| *id).collect();
            let mut known = HashSet::new();
            for ids in ids.chunks(LOOKED_FOR) {
                known.extend(ours::with_usage(db, ids).await?);
            }
            calls.into_iter().map(|(id, call)| (id.to_string(), call, known.contains(&id))).collect()
        }
        Provider::Generations(calls) => {
            let calls: Vec<_> = calls.lock().drain().collect();
            let ids: Vec<_> = calls.iter().map(|(id, _)| id.clone()).collect();
            let mut known = HashSet::new();
            for ids in ids.chunks(LOOKED_FOR) {
                known.extend(ours::with_provider_id(db, ids).await?);
            }
            calls.into_iter().map(|(id, call)| (id.clone(), call, known.contains(&id))).collect()
        }
        Provider::Lookups(..) | Provider::Report(_) => return Ok(()),
    };
    for (id, call, is_elsewhere) in left {
        if is_elsewhere {
            totals.elsewhere += 1;
        } else if call.open {
            totals.open += 1;
        } else if call.figures.is_nothing() {
            totals.unbilled += 1;
        } else {
            totals.theirs_only += 1;
            totals.theirs = totals.theirs.plus(&Figures { requests: Some(1), ..call.figures })?;
            listing.item(&Item::theirs_only(id, &call))?;
        }
    }
    Ok(())
}
