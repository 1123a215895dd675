//! Loads what a batch touches and the state does not hold yet: one statement a table.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::api_key::KeyHash;
use schemas::books::{
    Account, ApiKey, Authorization, Closed, ClosedAs, Emitter, Ending, Hold, KeySpending, Lease, Published, Referenced,
    Slots,
};
use schemas::hash::MessageHash;
use schemas::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use schemas::key_limits::{Cap, KeyPeriod, Restrictions};
use schemas::money::Nanocredits;
use schemas::seq_set::SeqSet;
use sqlx::PgConnection;
use uuid::Uuid;

use super::head::{Anchor, Head};
use super::reservations::Reservation;
use super::state::State;
use super::touched::Touched;
use crate::life::{Life, LifeState};

/// A row that cannot be what the ledger wrote.
#[derive(Debug, thiserror::Error)]
#[error("ledger.{table}: {what}")]
pub(crate) struct Corrupt {
    table: &'static str,
    what: String,
}

/// Why something could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The database holds what it must not.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

pub(crate) fn corrupt(table: &'static str, what: impl ToString) -> Corrupt {
    Corrupt { table, what: what.to_string() }
}

/// The log's end.
pub(crate) async fn head(db: &mut PgConnection) -> Result<Head, LoadError> {
    let row = sqlx::query!("select position, epoch, generation, stream_seq, stream_anchor from ledger.head")
        .fetch_one(db)
        .await?;
    let anchor = match row.stream_anchor {
        Some(hash) => Some(Anchor(hash.try_into().map_err(|_| corrupt("head", "the anchor is not a SHA-256"))?)),
        None => None,
    };
    Ok(Head {
        position: row.position as u64,
        epoch: row.epoch as u64,
        generation: row.generation as u64,
        stream_seq: row.stream_seq as u64,
        anchor,
    })
}

/// What every batch needs: price books and the lives that are not over.
pub(crate) async fn standing(db: &mut PgConnection, state: &mut State) -> Result<(), LoadError> {
    for row in sqlx::query!(r#"select version, position, book::text as "book!" from ledger.price_books"#)
        .fetch_all(&mut *db)
        .await?
    {
        let book = serde_json::from_str(&row.book).map_err(|error| corrupt("price_books", error))?;
        let published = Published { position: row.position as u64, book: Arc::new(book) };
        state.books.prices.insert(row.version as u32, published);
    }
    for row in sqlx::query!(
        "select gateway, process, generation, gates, state, closed_gates from ledger.lives where state <> 'fenced'"
    )
    .fetch_all(&mut *db)
    .await?
    {
        let life = Life {
            process: row.process,
            generation: row.generation as u64,
            gates: row.gates.into_iter().map(|seq| seq as u64).collect(),
            state: LifeState::parse(&row.state).ok_or_else(|| corrupt("lives", &row.state))?,
            closed_gates: row.closed_gates as u64,
        };
        state.lives.insert(EmitterId(row.gateway), life);
    }
    reservations(db, state).await
}

/// Loads what is touched and not there yet.
pub(crate) async fn touched(db: &mut PgConnection, state: &mut State, mut touched: Touched) -> Result<(), LoadError> {
    holds(db, state, &mut touched).await?;
    keys(db, state, &mut touched).await?;
    spending(db, state, &touched).await?;
    leases(db, state, &mut touched).await?;
    emitters(db, state, &touched).await?;
    references(db, state, &touched).await?;
    closed(db, state, &touched).await?;
    accounts(db, state, &touched).await
}

async fn reservations(db: &mut PgConnection, state: &mut State) -> Result<(), LoadError> {
    let rows = sqlx::query!("select request_id, api_key_id, gateway, amount from ledger.key_reservations");
    for row in rows.fetch_all(db).await? {
        let reservation = Reservation {
            api_key_id: ApiKeyId(row.api_key_id),
            gateway: EmitterId(row.gateway),
            amount: Nanocredits::new(row.amount),
        };
        state.reservations.insert(RequestId(row.request_id), reservation);
    }
    Ok(())
}

async fn holds(db: &mut PgConnection, state: &mut State, touched: &mut Touched) -> Result<(), LoadError> {
    let wanted: Vec<Uuid> =
        touched.holds.iter().filter(|id| !state.books.holds.contains_key(id)).map(|id| id.0).collect();
    for (hold, _) in hold_rows(db, &wanted).await? {
        state.books.holds.insert(hold.request_id, hold);
    }
    for id in &touched.holds {
        if let Some(hold) = state.books.holds.get(id) {
            touched.accounts.insert(hold.account_id);
            touched.leases.extend(hold.gateway.map(|gateway| (gateway, hold.account_id)));
            touched.keys.extend(hold.key_period.map(|period| period.api_key_id));
            touched.periods.extend(hold.key_period);
        }
    }
    Ok(())
}

/// Requests as they are in the table, with the time at which each authorization was appended.
pub(crate) async fn hold_rows(
    db: &mut PgConnection,
    wanted: &[Uuid],
) -> Result<Vec<(Hold, Option<DateTime<Utc>>)>, LoadError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        "select request_id, account_id, gateway, authorized_at, hold, counts, usage, ending, claimed, charged,
                authorized_time, capped_key, capped_from
         from ledger.holds where request_id = any($1)",
        wanted
    )
    .fetch_all(db)
    .await?;
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        let ending = match (row.ending.as_deref(), row.claimed) {
            (None, _) => None,
            (Some("deducted"), Some(claim)) => Some(Ending::Deducted(Nanocredits::new(claim))),
            (Some("released"), _) => Some(Ending::Released),
            (Some("expired"), _) => Some(Ending::Expired),
            (Some(other), _) => return Err(corrupt("holds", other).into()),
        };
        let authorization =
            row.hold.zip(row.counts).map(|(hold, counts)| Authorization { hold: Nanocredits::new(hold), counts });
        let hold = Hold {
            request_id: RequestId(row.request_id),
            account_id: AccountId(row.account_id),
            gateway: row.gateway.map(EmitterId),
            authorized_at: row.authorized_at.map(|position| position as u64),
            key_period: row
                .capped_key
                .zip(row.capped_from)
                .map(|(key, from)| KeyPeriod { api_key_id: ApiKeyId(key), from }),
            slots: Slots {
                authorization,
                usage: row.usage.map(Nanocredits::new),
                ending,
                charged: row.charged.map(Nanocredits::new),
            },
        };
        holds.push((hold, row.authorized_time));
    }
    Ok(holds)
}

async fn leases(db: &mut PgConnection, state: &mut State, touched: &mut Touched) -> Result<(), LoadError> {
    let missing: Vec<(Uuid, Uuid)> = touched
        .leases
        .iter()
        .filter(|key| !state.books.leases.contains_key(key))
        .map(|(gateway, account)| (gateway.0, account.0))
        .collect();
    let whole: Vec<Uuid> = touched.whole_lives.iter().map(|life| life.0).collect();
    if missing.is_empty() && whole.is_empty() {
        return Ok(());
    }
    let (gateways, accounts): (Vec<Uuid>, Vec<Uuid>) = missing.into_iter().unzip();
    let rows = sqlx::query!(
        r#"select gateway as "gateway!", account_id as "account_id!", granted as "granted!", returned as "returned!",
                  charged as "charged!", held as "held!", closed as "closed!"
           from ledger.leases join unnest($1::uuid[], $2::uuid[]) as wanted(gateway, account_id) using (gateway, account_id)
           union
           select gateway, account_id, granted, returned, charged, held, closed
           from ledger.leases where gateway = any($3) and not closed"#,
        &gateways,
        &accounts,
        &whole
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let key = (EmitterId(row.gateway), AccountId(row.account_id));
        let lease = Lease {
            granted: Nanocredits::new(row.granted),
            returned: Nanocredits::new(row.returned),
            charged: Nanocredits::new(row.charged),
            held: Nanocredits::new(row.held),
            closed: row.closed,
        };
        // What is there already is as new as the table, since both change in the same transaction.
        state.books.leases.entry(key).or_insert(lease);
    }
    for key in state.books.leases.keys().filter(|key| touched.whole_lives.contains(&key.0)) {
        touched.accounts.insert(key.1);
    }
    Ok(())
}

async fn emitters(db: &mut PgConnection, state: &mut State, touched: &Touched) -> Result<(), LoadError> {
    let all: HashSet<EmitterId> = touched.emitters.union(&touched.whole_lives).copied().collect();
    let wanted: Vec<Uuid> = all.into_iter().filter(|id| state.known_emitters.insert(*id)).map(|id| id.0).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"select emitter, seen::text as "seen!", never::text as "never!", fenced from ledger.emitters
           where emitter = any($1)"#,
        &wanted
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let set = |text: &str| text.parse::<SeqSet>().map_err(|error| corrupt("emitters", error));
        let emitter = Emitter { seen: set(&row.seen)?, never: set(&row.never)?, fenced: row.fenced };
        state.books.emitters.insert(EmitterId(row.emitter), emitter);
    }
    let rows = sqlx::query!(
        r#"select emitter as "emitter!", seq as "seq!" from ledger.quarantine
           where emitter = any($1) and seq is not null and state <> 'replayed'"#,
        &wanted
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        state.quarantined.entry(EmitterId(row.emitter)).or_default().insert(row.seq as u64);
    }
    Ok(())
}

async fn keys(db: &mut PgConnection, state: &mut State, touched: &mut Touched) -> Result<(), LoadError> {
    for key in touched.keys.iter().filter_map(|id| state.books.keys.get(id)) {
        touched.accounts.insert(key.account_id);
    }
    let ids: Vec<Uuid> = touched.keys.iter().filter(|id| !state.books.keys.contains_key(id)).map(|id| id.0).collect();
    if ids.is_empty() && touched.key_hashes.is_empty() {
        return Ok(());
    }
    let hashes: Vec<Vec<u8>> = touched.key_hashes.iter().map(|hash| hash.0.to_vec()).collect();
    let rows = sqlx::query!(
        "select api_key_id, account_id, key_hash, key_prefix, name, expires_at, models, cap, cap_period, revoked, created_at
         from ledger.keys where api_key_id = any($1) or key_hash = any($2)",
        &ids,
        &hashes
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let hash = row.key_hash.try_into().map_err(|_| corrupt("keys", "the hash is not a SHA-256"))?;
        let key = ApiKey {
            api_key_id: ApiKeyId(row.api_key_id),
            account_id: AccountId(row.account_id),
            key_hash: KeyHash(hash),
            key_prefix: row.key_prefix,
            name: row.name,
            expires_at: row.expires_at,
            restrictions: restrictions(row.models, row.cap, row.cap_period.as_deref())?,
            revoked: row.revoked,
            created_at: row.created_at,
        };
        touched.accounts.insert(key.account_id);
        state.books.keys.entry(key.api_key_id).or_insert(key);
    }
    Ok(())
}

/// As the columns of a key say it.
pub(crate) fn restrictions(
    models: Option<Vec<String>>,
    cap: Option<i64>,
    period: Option<&str>,
) -> Result<Restrictions, Corrupt> {
    let cap = match cap.zip(period) {
        Some((credits, period)) => {
            let period = period.parse().map_err(|error| corrupt("keys", error))?;
            Some(Cap { credits: Nanocredits::new(credits), period })
        }
        None => None,
    };
    Ok(Restrictions { models, cap })
}

async fn spending(db: &mut PgConnection, state: &mut State, touched: &Touched) -> Result<(), LoadError> {
    let capped = touched.capped.iter().filter_map(|(key, request)| state.books.key_period(Some(*key), *request));
    let now = chrono::Utc::now();
    let this_period = touched.this_period.iter().filter_map(|id| {
        let period = state.books.keys.get(id)?.restrictions.cap?.period;
        Some(KeyPeriod { api_key_id: *id, from: period.from(now) })
    });
    let all: HashSet<KeyPeriod> = touched.periods.iter().copied().chain(capped).chain(this_period).collect();
    let wanted = all.into_iter().filter(|period| !state.books.spending.contains_key(period));
    let (keys, from): (Vec<Uuid>, Vec<chrono::NaiveDate>) =
        wanted.map(|period| (period.api_key_id.0, period.from)).unzip();
    if keys.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        "select api_key_id, period_from, held, charged from ledger.key_spending
         join unnest($1::uuid[], $2::date[]) as wanted(api_key_id, period_from) using (api_key_id, period_from)",
        &keys,
        &from
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let period = KeyPeriod { api_key_id: ApiKeyId(row.api_key_id), from: row.period_from };
        let spending = KeySpending { held: Nanocredits::new(row.held), charged: Nanocredits::new(row.charged) };
        state.books.spending.insert(period, spending);
    }
    Ok(())
}

async fn references(db: &mut PgConnection, state: &mut State, touched: &Touched) -> Result<(), LoadError> {
    if touched.references.is_empty() {
        return Ok(());
    }
    let (accounts, references): (Vec<Uuid>, Vec<String>) =
        touched.references.iter().map(|(account, reference)| (account.0, reference.clone())).unzip();
    let rows = sqlx::query!(
        "select account_id, reference, position, amount, loss from ledger.refs
         join unnest($1::uuid[], $2::text[]) as wanted(account_id, reference) using (account_id, reference)",
        &accounts,
        &references
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let referenced = Referenced {
            position: row.position as u64,
            amount: Nanocredits::new(row.amount),
            loss: Nanocredits::new(row.loss),
        };
        state.books.references.insert((AccountId(row.account_id), row.reference), referenced);
    }
    Ok(())
}

/// Entries of the quarantine that were dealt with; one that is open, or not there, is not among them.
async fn closed(db: &mut PgConnection, state: &mut State, touched: &Touched) -> Result<(), LoadError> {
    if touched.quarantined.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = touched.quarantined.iter().map(|id| *id as i64).collect();
    let rows = sqlx::query!(
        r#"select id, state, position as "position!", sha256(message) as "sha256!", emitter, seq from ledger.quarantine
           where id = any($1) and state <> 'open'"#,
        &ids
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let closed_as = match row.state.as_str() {
            "replayed" => ClosedAs::Replayed,
            "dismissed" => ClosedAs::Dismissed,
            other => return Err(corrupt("quarantine", other).into()),
        };
        let sha256 = row.sha256.try_into().map_err(|_| corrupt("quarantine", "the hash is not a SHA-256"))?;
        let closed = Closed {
            position: row.position as u64,
            closed_as,
            sha256: MessageHash(sha256),
            said: row.emitter.map(EmitterId).zip(row.seq.map(|seq| seq as u64)),
        };
        state.books.closed.entry(row.id as u64).or_insert(closed);
    }
    Ok(())
}

async fn accounts(db: &mut PgConnection, state: &mut State, touched: &Touched) -> Result<(), LoadError> {
    let wanted: Vec<Uuid> =
        touched.accounts.iter().filter(|id| !state.books.accounts.contains_key(id)).map(|id| id.0).collect();
    if wanted.is_empty() && touched.opened_as.is_empty() {
        return Ok(());
    }
    let opened_as: Vec<String> = touched.opened_as.iter().cloned().collect();
    let rows = sqlx::query!(
        "select account_id, livemode, tier, counterpart, reference, bought, unleased, leased, held, charged, lost
         from ledger.accounts where account_id = any($1) or reference = any($2)",
        &wanted,
        &opened_as
    )
    .fetch_all(db)
    .await?;
    for row in rows {
        let account = Account {
            account_id: AccountId(row.account_id),
            livemode: row.livemode,
            tier: row.tier.parse().map_err(|error| corrupt("accounts", error))?,
            counterpart: AccountId(row.counterpart),
            reference: row.reference,
            bought: Nanocredits::new(row.bought),
            unleased: Nanocredits::new(row.unleased),
            leased: Nanocredits::new(row.leased),
            held: Nanocredits::new(row.held),
            charged: Nanocredits::new(row.charged),
            lost: Nanocredits::new(row.lost),
        };
        state.books.accounts.entry(account.account_id).or_insert(account);
    }
    Ok(())
}
