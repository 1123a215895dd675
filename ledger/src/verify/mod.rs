//! Proof: all events are folded again, and everything derived must be what they add up to.
//!
//! | phase | looks at |
//! |---|---|
//! | fold | each event in order: positions without gaps, columns equal to the event's own bytes, rules of the books |
//! | read models | at the projection's checkpoint, half-way through the fold |
//! | tables | accounts, leases, holds, keys, references, prices, emitters against the fold |
//! | emitters | every sequence number seen, named as not coming, or in the quarantine |
//!
//! All of it in one snapshot of the database, so that a running system can be verified.

mod derived;
mod read_models;

use anyhow::{Context, Result};
use schemas::books::{Applied, Books};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::log::{Filter, Logged, Pages};

/// Beyond so many, differences are counted and no longer listed.
const LISTED: usize = 1_000;

/// What does not add up, and what was looked at.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Nothing differs.
    pub ok: bool,
    /// Events folded.
    pub events: u64,
    /// Last position.
    pub position: u64,
    /// Position of the read models, where there are any.
    pub read_models_position: Option<u64>,
    /// Accounts compared.
    pub accounts: u64,
    /// Requests compared.
    pub requests: u64,
    /// Holds that are open now.
    pub open_holds: u64,
    /// Messages in the quarantine that nobody has dealt with.
    pub quarantined: u64,
    /// What was odd about events that were applied all the same, by name.
    pub notes: std::collections::BTreeMap<String, u64>,
    /// How many differences there are.
    pub difference_count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

/// One thing that is not what the events add up to.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Where in the log, if it is about one event.
    pub position: Option<u64>,
    /// Which table or rule.
    pub of: String,
    /// What is wrong.
    pub what: String,
}

impl Report {
    fn differs(&mut self, position: Option<u64>, of: impl Into<String>, what: impl Into<String>) {
        self.difference_count += 1;
        if self.differences.len() < LISTED {
            self.differences.push(Difference { position, of: of.into(), what: what.into() });
        }
    }
}

/// Verifies everything from the first event.
pub async fn verify(db: &mut PgConnection) -> Result<Report> {
    let mut snapshot = db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *snapshot).await?;
    let mut report = Report::default();
    let mut books = Books::default();
    let checkpoint = read_models::checkpoint(&mut snapshot).await?;
    report.read_models_position = checkpoint;
    let mut compared = false;
    let mut usages = read_models::Usages::default();
    let mut pages = Pages::new(Filter::default());
    loop {
        let page = pages.next(&mut snapshot).await?;
        if page.is_empty() {
            break;
        }
        for logged in page {
            if !compared && checkpoint.is_some_and(|checkpoint| logged.position > checkpoint) {
                compared = true;
                read_models::compare(&mut snapshot, &books, &usages, &mut report).await?;
            }
            fold(&mut books, &logged, &mut report);
            usages.fold(&logged.event, &books);
        }
    }
    if !compared && checkpoint.is_some() {
        read_models::compare(&mut snapshot, &books, &usages, &mut report).await?;
    }
    columns(&mut snapshot, &mut report).await?;
    derived::compare(&mut snapshot, &books, &mut report).await?;
    report.ok = report.difference_count == 0;
    snapshot.rollback().await?;
    Ok(report)
}

fn fold(books: &mut Books, logged: &Logged, report: &mut Report) {
    let position = logged.position;
    if position != report.position + 1 {
        let what = format!(
            "it follows {}: positions {} to {} are missing",
            report.position,
            report.position + 1,
            position - 1
        );
        report.differs(Some(position), "positions", what);
    }
    report.position = position;
    report.events += 1;
    match books.apply(position, &logged.event) {
        Ok(Applied::New { note, .. }) => {
            if let Some(note) = note {
                *report.notes.entry(note.name().to_owned()).or_default() += 1;
            }
        }
        Ok(Applied::Duplicate) => report.differs(Some(position), "events", "its emitter said this seq before"),
        Err(rejected) => report.differs(Some(position), "events", rejected.to_string()),
    }
    // Applied one at a time, each of its accounts must add up after each event.
    for account in books.changed.accounts.drain() {
        if books.accounts.get(&account).is_some_and(|account| !account.adds_up()) {
            report.differs(Some(position), "accounts", format!("account {account} does not add up"));
        }
    }
    books.changed = Default::default();
}

/// The columns beside an event's bytes must say what the bytes say; the head must be at the end.
async fn columns(db: &mut PgConnection, report: &mut Report) -> Result<()> {
    let rows = sqlx::query!(
        r#"select position from ledger.events,
                  lateral (select convert_from(event, 'UTF8')::json as body) as own
           where (body->>'id')::uuid is distinct from event_id
              or body->>'type' is distinct from event_type
              or (body->>'account_id')::uuid is distinct from account_id
              or (body->>'request_id')::uuid is distinct from request_id
              or (body->>'emitter')::uuid is distinct from emitter
              or (body->>'seq')::bigint is distinct from seq
           order by position limit 1000"#
    )
    .fetch_all(&mut *db)
    .await
    .context("the columns could not be compared")?;
    for row in rows {
        report.differs(Some(row.position as u64), "events", "its columns are not what its bytes say");
    }
    let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(db).await? as u64;
    if head != report.position {
        report.differs(None, "head", format!("it says {head}, and the log ends at {}", report.position));
    }
    Ok(())
}
