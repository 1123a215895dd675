//! The journal's rows, a page at a time: each posting and what its account had after it, by the auditor's own reading.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use schemas::books::{Account, Moved};
use schemas::event::{Event, Payload};
use sqlx::PgConnection;
use uuid::Uuid;

use super::read::Read;
use super::report::Report;
use super::requests::Models;

/// A row of `read_models.journal`. What did not move is null there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    account_id: Uuid,
    recorded_at: DateTime<Utc>,
    request_id: Option<Uuid>,
    livemode: bool,
    entry: String,
    /// Added, adjusted, held, charged, lost: nanocredits; the provider's cost: picodollars.
    moved: [Option<i64>; 6],
    /// Nanocredits.
    balance_after: i64,
    held_after: i64,
}

/// Whether an event has a row: an account's opening has, and all that moves money.
pub(super) fn is_entered(event: &Event, moved: &Moved) -> bool {
    matches!(event.payload, Payload::AccountOpened(_)) || !moved.is_nothing()
}

/// The row of an event, with what its account had after it.
pub(super) fn entry(read: &Read, event: &Event, moved: &Moved, account: &Account) -> Entry {
    let entry = match event.payload {
        Payload::AccountOpened(_) => "opening",
        Payload::CreditsAdded(_) => "top_up",
        Payload::CreditsAdjusted(_) => "adjustment",
        Payload::RequestAuthorized(_) => "hold",
        Payload::UsageRecorded(_) => "usage",
        Payload::CreditsDeducted(_) => "charge",
        Payload::AuthorizationReleased(_) => "release",
        Payload::AuthorizationExpired(_) => "expiry",
        _ => "other",
    };
    let Moved { added, adjusted, held, charged, lost, cost, .. } = *moved;
    let amounts = [added.get(), adjusted.get(), held.get(), charged.get(), lost.get(), cost.get()];
    Entry {
        account_id: account.account_id.0,
        recorded_at: read.recorded_at,
        request_id: event.header.request_id.map(|id| id.0),
        livemode: account.livemode,
        entry: entry.to_owned(),
        moved: amounts.map(|amount| Some(amount).filter(|amount| *amount != 0)),
        // In an account that adds up neither overflows.
        balance_after: account.bought.get().saturating_sub(account.charged.get()),
        held_after: account.held.get(),
    }
}

/// Each row is looked for by its key: that there are no others is told by their number.
pub(super) async fn compare(
    db: &mut PgConnection,
    models: Models,
    entries: &BTreeMap<u64, Entry>,
    report: &mut Report,
) -> Result<()> {
    let wanted = || entries.range(models.history_from..);
    let accounts: Vec<Uuid> = wanted().map(|(_, entry)| entry.account_id).collect();
    let positions: Vec<i64> = wanted().map(|(position, _)| *position as i64).collect();
    if positions.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select j.position, j.account_id, j.recorded_at, j.request_id, j.livemode, j.entry, j.added, j.adjusted, j.held, j.charged,
                j.lost, j.cost, j.balance_after, j.held_after
         from unnest($2::uuid[], $3::int8[]) as w(account_id, position)
         cross join lateral (
             select * from read_models.journal k
             where k.version = $1 and k.account_id = w.account_id and k.position = w.position limit 1) j",
        models.version,
        &accounts,
        &positions
    )
    .fetch_all(db)
    .await?;
    let mut stored = BTreeMap::new();
    for row in rows {
        let entry = Entry {
            account_id: row.account_id,
            recorded_at: row.recorded_at,
            request_id: row.request_id,
            livemode: row.livemode,
            entry: row.entry,
            moved: [row.added, row.adjusted, row.held, row.charged, row.lost, row.cost],
            balance_after: row.balance_after,
            held_after: row.held_after,
        };
        stored.insert(row.position as u64, entry);
    }
    for (position, should) in wanted() {
        let row = stored.get(position);
        if row != Some(should) {
            let what = format!("the events say {should:?}, the table says {row:?}");
            report.differs(Some(*position), "journal", what);
        }
    }
    Ok(())
}

/// How many rows there are, where all of them are known. The fold is at the checkpoint.
pub(super) async fn count(db: &mut PgConnection, models: Models, should: u64, report: &mut Report) -> Result<()> {
    // A version that is older than the journal has no rows of its first events; a rebuild makes them.
    if models.history_from != 1 {
        return Ok(());
    }
    let found = sqlx::query_scalar!(
        r#"select count(*) as "count!" from read_models.journal where version = $1"#,
        models.version
    )
    .fetch_one(db)
    .await? as u64;
    if found != should {
        report.differs(None, "journal", format!("{found} rows, and the events say {should}"));
    }
    Ok(())
}
