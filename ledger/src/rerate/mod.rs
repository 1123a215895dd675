//! What the same usage would have cost under other prices, and the compensation for it. History is never touched: what
//! is compensated is compensated by new events. Why so: docs/decisions/0007-corrections.md.
//!
//! | phase | does |
//! |---|---|
//! | refuse | a compensation of a range that is not over, or that another run has compensated |
//! | stream | the usages of the range by account; one account's sums are in memory |
//! | rate | each usage by the other prices, at most the hold that they would have set aside |
//! | adjust | one `CreditsAdjusted` an account and model, gifts first; a reference moves credits once |

mod charge;
mod run;
mod show;
mod sums;
mod usages;

use std::io::Write;

use anyhow::{Context, Result, bail};
use futures_util::TryStreamExt;
use schemas::ids::AccountId;
use schemas::message::{AdjustCredits, CreditsAdjustedReply, command_name};
use schemas::money::Nanocredits;
use schemas::price_book::PriceBook;
use sqlx::{PgConnection, PgPool};

pub use run::{Run, prices_hash};
pub use show::{Format, Listing};
pub use sums::{Adjusted, Line, Total, Totals};

use crate::asker::Asker;
use crate::price_books::price_books;
use crate::range::Range;

/// What is rated again.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The other prices.
    pub prices: PriceBook,
    /// Which part of the log.
    pub range: Range,
    /// Only one account's.
    pub account: Option<AccountId>,
    /// Under which id it is compensated.
    pub run: Run,
}

/// Who compensates, and why.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Compensation {
    pub asker: Asker,
    pub by: String,
    pub reason: String,
    /// Also where a former run has compensated a part of the range.
    pub again: bool,
}

/// Former runs, of all accounts or one.
///
/// # Errors
/// When the database fails.
pub async fn former_runs(db: &mut PgConnection, account: Option<AccountId>) -> Result<Vec<Run>> {
    let rows = sqlx::query_scalar!(
        r#"select distinct split_part(reference, ':', 2) || ':' || split_part(reference, ':', 3) as "run!"
           from ledger.refs where reference like 'rerate:%' and ($1::uuid is null or account_id = $1) order by 1"#,
        account.map(|id| id.0)
    )
    .fetch_all(db)
    .await?;
    Ok(rows.iter().filter_map(|run| Run::of_reference(&format!("rerate:{run}:"))).collect())
}

/// Rates the range again and lists what comes of it; with a compensation, carries it out.
///
/// # Errors
/// When a server fails, the range cannot be compensated, or the ledger refuses. What was compensated before is reported
/// as such when the same command is given again.
pub async fn rerate<W: Write>(
    pool: &PgPool,
    plan: &Plan,
    compensation: Option<&Compensation>,
    listing: &mut Listing<W>,
) -> Result<Totals> {
    let mut db = pool.acquire().await.context("cannot reach PostgreSQL")?;
    let former = former_runs(&mut db, plan.account).await?;
    if let Some(compensation) = compensation {
        if let Some(conflict) = plan.run.conflict(&former, compensation.again) {
            bail!("nothing was compensated: {conflict}");
        }
        let open = usages::open(&mut db, plan.range, plan.account).await?;
        if open > 0 {
            bail!(
                "nothing was compensated: {open} requests of this range have not ended; try later, or an earlier --until"
            );
        }
    }
    let published = price_books(&mut db).await?;
    listing.begin(plan, &plan.run.overlapping(&former).cloned().collect::<Vec<_>>())?;
    let mut totals = Totals::default();
    let mut sums = sums::Sums::default();
    let mut whose = None;
    let mut usages = usages::usages(&mut db, plan.range, plan.account);
    while let Some(found) = usages.try_next().await? {
        if whose != Some(found.account.0) {
            account(sums.take(), plan, compensation, &mut totals, listing).await?;
            whose = Some(found.account.0);
        }
        let charges = match &found.used {
            None => None,
            Some(used) => {
                let new = charge::under(&plan.prices, &published, used)
                    .with_context(|| format!("the usage at position {} cannot be rated", found.position))?;
                Some((used.settled.paid, new))
            }
        };
        sums.add(found.account, &found.model, charges)?;
    }
    account(sums.take(), plan, compensation, &mut totals, listing).await?;
    listing.end(&totals)?;
    Ok(totals)
}

/// One account's lines: compensated, if so, and listed.
async fn account<W: Write>(
    mut lines: Vec<Line>,
    plan: &Plan,
    compensation: Option<&Compensation>,
    totals: &mut Totals,
    listing: &mut Listing<W>,
) -> Result<()> {
    if let Some(compensation) = compensation {
        // What is given for one model can pay for another.
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|index| lines[*index].difference);
        for index in order {
            compensate(&mut lines[index], plan, compensation).await?;
        }
    }
    for line in &lines {
        totals.add(line)?;
        listing.line(line)?;
    }
    Ok(())
}

async fn compensate(line: &mut Line, plan: &Plan, compensation: &Compensation) -> Result<()> {
    let Some((new, difference)) = line.new.zip(line.difference).filter(|(_, it)| *it != Nanocredits::ZERO) else {
        return Ok(());
    };
    let ask = AdjustCredits {
        account_id: line.account_id,
        amount: Nanocredits::ZERO.minus(difference)?,
        loss: Nanocredits::ZERO,
        take_what_there_is: true,
        request_id: None,
        reference: plan.run.reference(&line.model),
        by: compensation.by.clone(),
        why: format!(
            "{}: {} requests of {} at positions {} to {}, {} credits at the prices of then, {new} at prices {}",
            compensation.reason,
            line.requests,
            line.model,
            plan.range.from,
            plan.range.until,
            line.old,
            prices_hash(&plan.prices)
        ),
    };
    let reply: CreditsAdjustedReply =
        compensation.asker.ask(command_name::ADJUST_CREDITS, &ask).await.with_context(|| {
            format!("account {}, model {}: the same command again goes on here", line.account_id, line.model)
        })?;
    let CreditsAdjustedReply { credits, amount, loss } = reply;
    line.adjusted = Some(Adjusted { amount, loss, position: credits.position, before: credits.repeated });
    Ok(())
}
