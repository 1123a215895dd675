//! Sums against sums: a provider's report by day, hour or model.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use chrono::SecondsFormat;
use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::figures::Figures;
use super::record::Group;
use super::show::{Item, Kind, Listing, Totals};
use super::{Plan, ours};

/// Sums ours up as the report's rows are, and compares row by row.
pub(super) async fn compare<W: Write>(
    db: &mut PgConnection,
    theirs: &BTreeMap<Group, Figures>,
    plan: &Plan,
    totals: &mut Totals,
    listing: &mut Listing<W>,
) -> Result<()> {
    // An empty report is one of days and models in which nothing happened.
    let every = Group { day: Some(String::new()), hour: None, model: Some(String::new()) };
    let like = theirs.keys().next().cloned().unwrap_or(every);
    let mut sums: BTreeMap<Group, Figures> = BTreeMap::new();
    let mut usages = ours::ours(db, plan.range, plan.account);
    while let Some(ours) = usages.try_next().await? {
        if plan.is_of(&ours) {
            let time = ours.time.to_rfc3339_opts(SecondsFormat::Secs, true);
            let sum = sums.entry(Group::of(&like, &time, &ours.data.model)).or_default();
            *sum = sum.plus(&Figures::of(&ours.data.usage, ours.data.cost_usd))?;
        }
    }
    for (group, figures) in &sums {
        totals.ours = totals.ours.plus(figures)?;
        let Some(their) = theirs.get(group) else {
            totals.ours_only += 1;
            listing.item(&Item::of_group(Kind::OursOnly, group, figures))?;
            continue;
        };
        let differences = figures.differences(their, &plan.tolerance);
        if differences.is_empty() {
            totals.same += 1;
        } else {
            totals.differing += 1;
            listing.item(&Item { differences, ..Item::of_group(Kind::Differs, group, figures) })?;
        }
    }
    for (group, figures) in theirs {
        totals.theirs = totals.theirs.plus(figures)?;
        if !sums.contains_key(group) {
            if figures.is_nothing() {
                totals.unbilled += 1;
            } else {
                totals.theirs_only += 1;
                listing.item(&Item::of_group(Kind::TheirsOnly, group, figures))?;
            }
        }
    }
    Ok(())
}
