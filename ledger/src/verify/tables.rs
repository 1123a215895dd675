//! The ledger's own derived tables at the end of the log. They are loaded with the code that loads them for writing.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

use anyhow::Result;
use schemas::books::Books;
use schemas::ids::{AccountId, ApiKeyId, EmitterId};
use schemas::key_limits::KeyPeriod;
use schemas::seq_set::SeqSet;
use sqlx::PgConnection;

use super::fold::Fold;
use super::report::Report;
use super::requests::compare_rest;
use crate::append::{State, Touched, load};

/// So many rows at a time.
const CHUNK: usize = 4_096;

pub(super) async fn compare(db: &mut PgConnection, fold: &mut Fold, report: &mut Report) -> Result<()> {
    compare_rest(db, fold, report).await?;
    let fold = &*fold;
    let books = &fold.books;
    let at = |id: &AccountId| fold.moved.get(id).map(|(position, _)| *position);
    let accounts = |touched: &mut Touched, id: AccountId| {
        touched.accounts.insert(id);
    };
    chunks(db, "accounts", books, |books| &books.accounts, accounts, at, report).await?;
    let leases = |touched: &mut Touched, key: (EmitterId, AccountId)| {
        touched.leases.insert(key);
    };
    chunks(db, "leases", books, |books| &books.leases, leases, |(_, account)| at(account), report).await?;
    let keys = |touched: &mut Touched, id: ApiKeyId| {
        touched.keys.insert(id);
    };
    chunks(db, "keys", books, |books| &books.keys, keys, |_| None, report).await?;
    let periods = |touched: &mut Touched, period: KeyPeriod| {
        touched.periods.insert(period);
    };
    chunks(db, "key_spending", books, |books| &books.spending, periods, |_| None, report).await?;
    let emitters = |touched: &mut Touched, id: EmitterId| {
        touched.emitters.insert(id);
    };
    let fenced_at = |id: &EmitterId| fold.fences.get(id).copied();
    chunks(db, "emitters", books, |books| &books.emitters, emitters, fenced_at, report).await?;
    let closed = |touched: &mut Touched, entry: u64| {
        touched.quarantined.insert(entry);
    };
    let closed_at = |entry: &u64| books.closed.get(entry).map(|closed| closed.position);
    chunks(db, "quarantine", books, |books| &books.closed, closed, closed_at, report).await?;
    replayed(db, report).await?;
    prices(db, books, report).await?;
    counters(db, books, report).await?;
    after_the_fence(books, report);
    counts(db, fold, report).await?;
    report.accounts = books.accounts.len() as u64;
    report.requests = fold.counts.requests;
    report.open_holds = fold.counts.open_holds;
    report.quarantined =
        sqlx::query_scalar!(r#"select count(*) as "count!" from ledger.quarantine where state = 'open'"#)
            .fetch_one(&mut *db)
            .await? as u64;
    let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(db).await? as u64;
    if head > report.position {
        let what = format!("the head says {head}: positions {} to {head} are missing", report.position + 1);
        report.differs(Some(report.position + 1), "head", what);
    } else if head < report.position {
        let what = format!("the head says {head}: what is beyond was not appended by the ledger");
        report.differs(Some(head + 1), "head", what);
    }
    Ok(())
}

/// What is said to have been replayed is in the log, with the very bytes.
async fn replayed(db: &mut PgConnection, report: &mut Report) -> Result<()> {
    let rows = sqlx::query!(
        "select q.id, q.position from ledger.quarantine q left join ledger.events e on e.emitter = q.emitter and e.seq = q.seq
         where q.state = 'replayed' and q.message is distinct from e.event order by q.id limit 1000"
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let position = row.position.map(|position| position as u64);
        let what = format!("entry {} was replayed, and its bytes are not in the log", row.id);
        report.differs(position, "quarantine", what);
    }
    Ok(())
}

/// Compares a table with the fold, a chunk of its keys at a time.
async fn chunks<K: Copy + Eq + Hash + Ord + Debug, V: PartialEq + Debug>(
    db: &mut PgConnection,
    table: &str,
    books: &Books,
    of: impl Fn(&Books) -> &HashMap<K, V>,
    touch: impl Fn(&mut Touched, K),
    position: impl Fn(&K) -> Option<u64>,
    report: &mut Report,
) -> Result<()> {
    let mut keys: Vec<K> = of(books).keys().copied().collect();
    keys.sort_unstable();
    for chunk in keys.chunks(CHUNK) {
        let (mut state, mut touched) = (State::default(), Touched::default());
        chunk.iter().for_each(|key| touch(&mut touched, *key));
        load::touched(db, &mut state, touched).await?;
        let stored = of(&state.books);
        for (key, value) in chunk.iter().filter_map(|key| of(books).get(key).map(|value| (key, value))) {
            match stored.get(key) {
                None => report.differs(position(key), table, format!("{key:?} is missing")),
                Some(row) if row != value => {
                    let what = format!("{key:?}: the events say {value:?}, the table says {row:?}");
                    report.differs(position(key), table, what);
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

async fn prices(db: &mut PgConnection, books: &Books, report: &mut Report) -> Result<()> {
    let mut state = State::default();
    load::standing(db, &mut state).await?;
    for (version, published) in &books.prices {
        if state.books.prices.remove(version).as_ref() != Some(published) {
            let what = format!("version {version} is not what was published");
            report.differs(Some(published.position), "price_books", what);
        }
    }
    for version in state.books.prices.keys() {
        report.differs(None, "price_books", format!("version {version} is in no event"));
    }
    Ok(())
}

/// Every sequence number of an emitter whose life is over is appended, named as not coming, or in the quarantine.
async fn counters(db: &mut PgConnection, books: &Books, report: &mut Report) -> Result<()> {
    let rows =
        sqlx::query_scalar!("select gateway from ledger.lives where state <> 'fenced'").fetch_all(&mut *db).await?;
    let lives: HashSet<EmitterId> = rows.into_iter().map(EmitterId).collect();
    for (emitter, known) in books.emitters.iter().filter(|(emitter, _)| !lives.contains(emitter)) {
        let accounted = SeqSet::from_ranges(&[known.seen.ranges(), known.never.ranges()].concat());
        if accounted.holes().is_empty() {
            continue;
        }
        let quarantined = sqlx::query_scalar!(
            r#"select seq as "seq!" from ledger.quarantine where emitter = $1 and seq is not null and state <> 'replayed'"#,
            emitter.0
        )
        .fetch_all(&mut *db)
        .await?;
        let quarantined: Vec<(u64, u64)> = quarantined.into_iter().map(|seq| (seq as u64, seq as u64)).collect();
        let holes = SeqSet::from_ranges(&[accounted.ranges(), &quarantined].concat()).holes();
        if !holes.is_empty() {
            let what = format!("{emitter}: seqs {holes:?} are neither there nor named as missing");
            report.differs(None, "emitters", what);
        }
    }
    Ok(())
}

/// No lease of a life that is over is open, and no other one is closed.
fn after_the_fence(books: &Books, report: &mut Report) {
    for ((gateway, account), lease) in &books.leases {
        let fenced = books.emitters.get(gateway).is_some_and(|emitter| emitter.fenced);
        if fenced != lease.closed {
            let what = format!("of {gateway} for {account}: fenced {fenced}, closed {}", lease.closed);
            report.differs(None, "leases", what);
        }
    }
}

/// Every row that should be there was found. One more than those is a row that is in no event.
async fn counts(db: &mut PgConnection, fold: &Fold, report: &mut Report) -> Result<()> {
    let row = sqlx::query!(
        r#"select (select count(*) from ledger.accounts) as "accounts!", (select count(*) from ledger.leases) as "leases!",
                  (select count(*) from ledger.holds) as "holds!", (select count(*) from ledger.emitters) as "emitters!",
                  (select count(*) from ledger.keys) as "keys!", (select count(*) from ledger.refs) as "refs!",
                  (select count(*) from ledger.notes) as "notes!",
                  (select count(*) from ledger.key_spending) as "key_spending!",
                  (select count(*) from ledger.quarantine where state <> 'open') as "closed!""#
    )
    .fetch_one(&mut *db)
    .await?;
    for (table, found, should) in [
        ("accounts", row.accounts, fold.books.accounts.len() as u64),
        ("leases", row.leases, fold.counts.leases),
        ("holds", row.holds, fold.counts.requests),
        ("emitters", row.emitters, fold.books.emitters.len() as u64),
        ("keys", row.keys, fold.books.keys.len() as u64),
        ("key_spending", row.key_spending, fold.books.spending.len() as u64),
        ("refs", row.refs, fold.counts.references),
        ("notes", row.notes, fold.counts.notes),
        ("quarantine", row.closed, fold.books.closed.len() as u64),
    ] {
        if found as u64 == should {
            continue;
        }
        report.differs(None, table, format!("{found} rows, and the events say {should}"));
        for what in unfounded(db, table).await? {
            report.differs(None, table, format!("{what} is in no event"));
        }
    }
    Ok(())
}

/// Rows that no event can have made. Slow, and asked only where there are some.
async fn unfounded(db: &mut PgConnection, table: &str) -> Result<Vec<String>> {
    let rows = sqlx::query_scalar!(
        r#"select t.id as "id!" from (
               select a.account_id::text as id from ledger.accounts a where $1 = 'accounts' and not exists (
                   select from ledger.events e where e.account_id = a.account_id and e.event_type = 'AccountOpened')
               union all
               select l.gateway || ' for ' || l.account_id from ledger.leases l where $1 = 'leases' and not exists (
                   select from ledger.events e where e.account_id = l.account_id and e.event_type = 'LeaseGranted'
                       and convert_from(e.event, 'UTF8')::json->'data'->>'gateway' = l.gateway::text)
               union all
               select h.request_id::text from ledger.holds h where $1 = 'holds' and not exists (
                   select from ledger.events e where e.request_id = h.request_id)
               union all
               select m.emitter::text from ledger.emitters m where $1 = 'emitters' and not exists (
                   select from ledger.events e where e.emitter = m.emitter)
               union all
               select k.api_key_id::text from ledger.keys k where $1 = 'keys' and not exists (
                   select from ledger.events e where e.account_id = k.account_id and e.event_type = 'ApiKeyIssued'
                       and convert_from(e.event, 'UTF8')::json->'data'->>'api_key_id' = k.api_key_id::text)
               union all
               select r.reference || ' of ' || r.account_id from ledger.refs r where $1 = 'refs' and not exists (
                   select from ledger.events e where e.position = r.position and e.account_id = r.account_id
                       and convert_from(e.event, 'UTF8')::json->'data'->>'reference' = r.reference)
           ) t limit 1000"#,
        table
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}
