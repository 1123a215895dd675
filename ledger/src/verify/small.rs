//! What else a page touched: references, notes, top-ups, leases that are over. Compared, and forgotten.

use std::collections::BTreeMap;

use anyhow::Result;
use schemas::event::Payload;
use schemas::ids::{AccountId, EmitterId};
use sqlx::PgConnection;

use super::facts::microseconds;
use super::fold::{Fold, Page, Transaction};
use super::read::Read;
use super::report::Report;
use super::requests::Models;
use crate::append::{State, Touched, load};

/// Brings back leases that were forgotten and are spoken of again: their row is their last word.
pub(super) async fn prepare(db: &mut PgConnection, fold: &mut Fold, page: &[Read]) -> Result<()> {
    let mut touched = Touched::default();
    for event in page.iter().filter_map(|read| read.event.as_ref().ok()) {
        let Some(account) = event.header.account_id else { continue };
        let key = (event.header.emitter, account);
        let is_over = fold.books.emitters.get(&key.0).is_some_and(|emitter| emitter.fenced);
        if matches!(event.payload, Payload::LeaseReturned(_)) && is_over && !fold.books.leases.contains_key(&key) {
            touched.leases.insert(key);
        }
    }
    if touched.leases.is_empty() {
        return Ok(());
    }
    let mut state = State::default();
    load::touched(db, &mut state, touched).await?;
    fold.books.leases.extend(state.books.leases);
    Ok(())
}

/// Compares what is not requests. `positions` are those of the page.
pub(super) async fn compare(
    db: &mut PgConnection,
    fold: &mut Fold,
    page: &Page,
    positions: (u64, u64),
    models: Option<Models>,
    report: &mut Report,
) -> Result<()> {
    notes(db, page, positions, report).await?;
    references(db, fold, report).await?;
    leases(db, fold, page, report).await?;
    match models {
        Some(models) => transactions(db, models, page, positions, report).await,
        None => Ok(()),
    }
}

async fn notes(db: &mut PgConnection, page: &Page, (first, last): (u64, u64), report: &mut Report) -> Result<()> {
    let rows = sqlx::query!(
        "select position, note from ledger.notes where position between $1 and $2 order by position, note",
        first as i64,
        last as i64
    )
    .fetch_all(db)
    .await?;
    let stored: Vec<(u64, &str)> = rows.iter().map(|row| (row.position as u64, row.note.as_str())).collect();
    for (position, note) in page.notes.iter().filter(|note| !stored.contains(note)) {
        report.differs(Some(*position), "notes", format!("{note} is missing"));
    }
    for (position, note) in stored.iter().filter(|note| !page.notes.contains(note)) {
        report.differs(Some(*position), "notes", format!("{note} is in no event"));
    }
    Ok(())
}

async fn references(db: &mut PgConnection, fold: &mut Fold, report: &mut Report) -> Result<()> {
    if fold.books.references.is_empty() {
        return Ok(());
    }
    let references = std::mem::take(&mut fold.books.references);
    let mut state = State::default();
    let touched = Touched { references: references.keys().cloned().collect(), ..Touched::default() };
    load::touched(db, &mut state, touched).await?;
    for (key, should) in references {
        let row = state.books.references.get(&key);
        if row != Some(&should) {
            let what = format!("'{}' of {}: the events say {should:?}, the table says {row:?}", key.1, key.0);
            report.differs(Some(should.position), "refs", what);
        }
    }
    Ok(())
}

/// A lease that is closed and holds nothing is never changed again.
async fn leases(db: &mut PgConnection, fold: &mut Fold, page: &Page, report: &mut Report) -> Result<()> {
    let is_over = |key: &&(EmitterId, AccountId)| {
        fold.books.leases.get(*key).is_some_and(|lease| lease.closed && lease.held.get() == 0)
    };
    let over: Vec<(EmitterId, AccountId)> = page.leases.iter().filter(is_over).copied().collect();
    if over.is_empty() {
        return Ok(());
    }
    let mut state = State::default();
    load::touched(db, &mut state, Touched { leases: over.iter().copied().collect(), ..Touched::default() }).await?;
    for key in over {
        let (should, row) = (fold.books.leases.remove(&key), state.books.leases.get(&key));
        if should.as_ref() != row {
            let position = fold.fences.get(&key.0).copied();
            let what = format!("of {} for {}: the events say {should:?}, the table says {row:?}", key.0, key.1);
            report.differs(position, "leases", what);
        }
    }
    Ok(())
}

async fn transactions(
    db: &mut PgConnection,
    models: Models,
    page: &Page,
    (first, last): (u64, u64),
    report: &mut Report,
) -> Result<()> {
    let rows = sqlx::query!(
        r#"select position, account_id, request_id, kind, (amount * 1000000000)::int8 as "amount!", reference, made_by, reason,
                  livemode, created_at
           from read_models.credit_transactions where version = $1 and position between $2 and $3"#,
        models.version,
        first as i64,
        last as i64
    )
    .fetch_all(db)
    .await?;
    let mut stored = BTreeMap::new();
    for row in rows {
        let transaction = Transaction {
            account_id: row.account_id,
            request_id: row.request_id,
            kind: row.kind,
            amount: row.amount,
            reference: row.reference,
            made_by: row.made_by,
            reason: row.reason,
            livemode: row.livemode,
            created_at: microseconds(row.created_at),
        };
        stored.insert(row.position as u64, transaction);
    }
    for (position, should) in &page.transactions {
        let row = stored.remove(position);
        if row.as_ref() != Some(should) {
            let what = format!("the events say {should:?}, the table says {row:?}");
            report.differs(Some(*position), "credit_transactions", what);
        }
    }
    for position in stored.keys() {
        report.differs(Some(*position), "credit_transactions", "it is in no event");
    }
    Ok(())
}
