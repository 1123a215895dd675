//! The ledger's own derived tables against the fold. The tables are loaded with the code that loads them for writing.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use anyhow::Result;
use schemas::books::{Books, Hold};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use schemas::key_limits::KeyPeriod;
use schemas::seq_set::SeqSet;
use sqlx::PgConnection;

use super::Report;
use crate::append::{State, Touched, load};

pub(super) async fn compare(db: &mut PgConnection, books: &Books, report: &mut Report) -> Result<()> {
    let state = load_all(db).await?;
    let tables = &state.books;
    differences("accounts", &books.accounts, &tables.accounts, report);
    differences("leases", &books.leases, &tables.leases, report);
    differences("holds", &books.holds, &tables.holds, report);
    differences("keys", &books.keys, &tables.keys, report);
    differences("key_spending", &books.spending, &tables.spending, report);
    differences("refs", &books.references, &tables.references, report);
    differences("emitters", &books.emitters, &tables.emitters, report);
    let as_map = |books: &Books| books.prices.clone().into_iter().collect::<HashMap<_, _>>();
    differences("price_books", &as_map(books), &as_map(tables), report);
    report.accounts = books.accounts.len() as u64;
    report.requests = books.holds.len() as u64;
    let open = |hold: &&Hold| hold.slots.authorization.is_some() && !hold.slots.has_ended();
    report.open_holds = books.holds.values().filter(open).count() as u64;
    after_the_fence(books, report);
    counters(&state, books, report);
    report.quarantined =
        sqlx::query_scalar!(r#"select count(*) as "count!" from ledger.quarantine"#).fetch_one(db).await? as u64;
    Ok(())
}

/// Every sequence number of an emitter whose life is over is appended, named as not coming, or in the quarantine.
fn counters(state: &State, books: &Books, report: &mut Report) {
    for (emitter, known) in &books.emitters {
        let mut accounted = SeqSet::from_ranges(&[known.seen.ranges(), known.never.ranges()].concat());
        accounted.extend(state.quarantined.get(emitter).unwrap_or(&SeqSet::default()));
        let holes = accounted.holes();
        let is_over = !state.lives.contains_key(emitter);
        if is_over && !holes.is_empty() {
            report.differs(
                None,
                "emitters",
                format!("{emitter}: seqs {holes:?} are neither there nor named as missing"),
            );
        }
    }
}

/// No authorization holds anything after its gateway's fence; no lease of a life that is over is open.
fn after_the_fence(books: &Books, report: &mut Report) {
    for ((gateway, account), lease) in &books.leases {
        let fenced = books.emitters.get(gateway).is_some_and(|emitter| emitter.fenced);
        if fenced != lease.closed {
            report.differs(
                None,
                "leases",
                format!("lease of {gateway} for {account}: fenced {fenced}, closed {}", lease.closed),
            );
        }
    }
}

async fn load_all(db: &mut PgConnection) -> Result<State> {
    let mut state = State::default();
    load::standing(db, &mut state).await?;
    let mut touched = Touched::default();
    for id in sqlx::query_scalar!("select account_id from ledger.accounts").fetch_all(&mut *db).await? {
        touched.accounts.insert(AccountId(id));
    }
    for row in sqlx::query!("select gateway, account_id from ledger.leases").fetch_all(&mut *db).await? {
        touched.leases.insert((EmitterId(row.gateway), AccountId(row.account_id)));
    }
    for id in sqlx::query_scalar!("select request_id from ledger.holds").fetch_all(&mut *db).await? {
        touched.holds.insert(RequestId(id));
    }
    for id in sqlx::query_scalar!("select emitter from ledger.emitters").fetch_all(&mut *db).await? {
        touched.emitters.insert(EmitterId(id));
    }
    for id in sqlx::query_scalar!("select api_key_id from ledger.keys").fetch_all(&mut *db).await? {
        touched.keys.insert(ApiKeyId(id));
    }
    for row in sqlx::query!("select api_key_id, period_from from ledger.key_spending").fetch_all(&mut *db).await? {
        touched.periods.insert(KeyPeriod { api_key_id: ApiKeyId(row.api_key_id), from: row.period_from });
    }
    for row in sqlx::query!("select account_id, reference from ledger.refs").fetch_all(&mut *db).await? {
        touched.references.insert((AccountId(row.account_id), row.reference));
    }
    load::touched(db, &mut state, touched).await?;
    Ok(state)
}

fn differences<K: Eq + Hash + Debug, V: PartialEq + Debug>(
    table: &str,
    fold: &HashMap<K, V>,
    stored: &HashMap<K, V>,
    report: &mut Report,
) {
    for (key, value) in fold {
        match stored.get(key) {
            None => report.differs(None, table, format!("{key:?} is missing")),
            Some(other) if other != value => {
                report.differs(None, table, format!("{key:?}: the events say {value:?}, the table says {other:?}"));
            }
            Some(_) => {}
        }
    }
    for key in stored.keys().filter(|key| !fold.contains_key(key)) {
        report.differs(None, table, format!("{key:?} is in no event"));
    }
}
