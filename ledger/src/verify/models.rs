//! The read models as of their checkpoint, beside the requests: balances, keys, days, and what the projector remembers.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use schemas::ids::{AccountId, ApiKeyId, EmitterId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::facts::microseconds;
use super::fold::Fold;
use super::journal;
use super::report::Report;
use super::requests::{Kept, Models, compare_usages};
use super::sums;

/// Accounts and keys are compared so many at a time.
const CHUNK: usize = 4_096;

/// The live version; none before a projector ran for the first time.
pub(super) async fn live(db: &mut PgConnection) -> Result<Option<Models>> {
    let row = sqlx::query!(
        r#"select p.version, p.position, p.history_from, p.rollups_position is not distinct from p.position as "rolled_up!",
                  (select k.since from projector.kept_months k where k.version = p.version and k.table_name = 'requests')
                      as requests,
                  (select k.since from projector.kept_months k where k.version = p.version and k.table_name = 'usage_hourly')
                      as hours
           from projector.projection p where p.name = 'read_models' and p.live"#
    )
    .fetch_optional(db)
    .await?;
    let since = |time: Option<DateTime<Utc>>| time.unwrap_or(DateTime::UNIX_EPOCH);
    Ok(row.map(|row| Models {
        rolled_up: row.rolled_up,
        kept: Kept { requests: since(row.requests), hours: since(row.hours) },
        version: row.version,
        position: row.position as u64,
        history_from: row.history_from.map_or(u64::MAX, |from| from as u64),
    }))
}

/// Everything that is not compared page by page. The fold is at the checkpoint.
pub(super) async fn compare(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    compare_usages(db, fold, models, report).await?;
    balances(db, fold, models, report).await?;
    keys(db, fold, models, report).await?;
    sums::compare(db, models, report).await?;
    fences(db, fold, models, report).await?;
    prices(db, fold, models, report).await?;
    journal::count(db, models, fold.counts.journal, report).await?;
    counts(db, fold, models, report).await
}

#[derive(Debug, PartialEq)]
struct Balance {
    tier: String,
    livemode: bool,
    bought: i64,
    charged: i64,
    held: i64,
    lost: i64,
    position: u64,
    updated_at: DateTime<Utc>,
}

async fn balances(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    let mut ids: Vec<AccountId> = fold.books.accounts.keys().copied().collect();
    ids.sort_unstable();
    for chunk in ids.chunks(CHUNK) {
        let wanted: Vec<Uuid> = chunk.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select account_id, tier, livemode, (bought * 1000000000)::int8 as "bought!",
                      (charged * 1000000000)::int8 as "charged!", (held * 1000000000)::int8 as "held!",
                      (lost * 1000000000)::int8 as "lost!", position, updated_at
               from read_models.credit_balances where version = $1 and account_id = any($2)"#,
            models.version,
            &wanted
        )
        .fetch_all(&mut *db)
        .await?;
        let mut stored: HashMap<AccountId, Balance> = HashMap::new();
        for row in rows {
            let balance = Balance {
                tier: row.tier,
                livemode: row.livemode,
                bought: row.bought,
                charged: row.charged,
                held: row.held,
                lost: row.lost,
                position: row.position as u64,
                updated_at: row.updated_at,
            };
            stored.insert(AccountId(row.account_id), balance);
        }
        for id in chunk {
            let (Some(account), Some((position, recorded_at))) = (fold.books.accounts.get(id), fold.moved.get(id))
            else {
                continue;
            };
            let should = Balance {
                tier: account.tier.name().to_owned(),
                livemode: account.livemode,
                bought: account.bought.get(),
                charged: account.charged.get(),
                held: account.held.get(),
                lost: account.lost.get(),
                position: *position,
                updated_at: *recorded_at,
            };
            let row = stored.get(id);
            if row != Some(&should) {
                let what = format!("{id}: the events say {should:?}, the table says {row:?}");
                report.differs(Some(*position), "credit_balances", what);
            }
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Key {
    account_id: Uuid,
    key_hash: String,
    key_prefix: String,
    name: String,
    is_active: bool,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

async fn keys(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    let mut ids: Vec<ApiKeyId> = fold.books.keys.keys().copied().collect();
    ids.sort_unstable();
    for chunk in ids.chunks(CHUNK) {
        let wanted: Vec<Uuid> = chunk.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            "select id, account_id, key_hash, key_prefix, name, is_active, expires_at, last_used_at, created_at
             from read_models.api_keys where version = $1 and id = any($2)",
            models.version,
            &wanted
        )
        .fetch_all(&mut *db)
        .await?;
        let mut stored: HashMap<ApiKeyId, Key> = HashMap::new();
        for row in rows {
            let key = Key {
                account_id: row.account_id,
                key_hash: row.key_hash,
                key_prefix: row.key_prefix,
                name: row.name,
                is_active: row.is_active,
                expires_at: row.expires_at,
                last_used_at: row.last_used_at,
                created_at: row.created_at,
            };
            stored.insert(ApiKeyId(row.id), key);
        }
        let text = |text: &str| text.replace('\0', "\u{fffd}");
        for (id, key) in chunk.iter().filter_map(|id| fold.books.keys.get(id).map(|key| (id, key))) {
            let should = Key {
                account_id: key.account_id.0,
                key_hash: key.key_hash.to_string(),
                key_prefix: text(&key.key_prefix),
                name: text(&key.name),
                is_active: !key.revoked,
                expires_at: key.expires_at.map(microseconds),
                last_used_at: fold.last_used.get(id).copied(),
                created_at: microseconds(key.created_at),
            };
            let row = stored.get(id);
            if row != Some(&should) {
                report.differs(None, "api_keys", format!("{id}: the events say {should:?}, the table says {row:?}"));
            }
        }
    }
    Ok(())
}

async fn fences(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    let rows =
        sqlx::query!("select gateway, position from read_models.fenced_gateways where version = $1", models.version)
            .fetch_all(db)
            .await?;
    let stored: HashMap<EmitterId, u64> =
        rows.into_iter().map(|row| (EmitterId(row.gateway), row.position as u64)).collect();
    for (gateway, position) in fold.fences.iter().filter(|(gateway, at)| stored.get(gateway) != Some(*at)) {
        let what = format!("{gateway}: the table says {:?}", stored.get(gateway));
        report.differs(Some(*position), "fenced_gateways", what);
    }
    for gateway in stored.keys().filter(|gateway| !fold.fences.contains_key(gateway)) {
        report.differs(None, "fenced_gateways", format!("{gateway} is in no event"));
    }
    Ok(())
}

async fn prices(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    let rows = sqlx::query!(
        r#"select price_version, position, book::text as "book!" from read_models.price_books where version = $1"#,
        models.version
    )
    .fetch_all(db)
    .await?;
    let mut stored = HashMap::new();
    for row in rows {
        stored.insert(row.price_version as u32, (row.position as u64, row.book));
    }
    for (version, published) in &fold.books.prices {
        let row = stored.remove(version);
        let same = row.is_some_and(|(position, book)| {
            position == published.position && serde_json::from_str(&book).is_ok_and(|book| *published.book == book)
        });
        if !same {
            let what = format!("version {version} is not what was published");
            report.differs(Some(published.position), "projected price_books", what);
        }
    }
    for version in stored.keys() {
        report.differs(None, "projected price_books", format!("version {version} is in no event"));
    }
    Ok(())
}

/// Every row that should be there was found. One more than those is a row that is in no event. Requests of months that were
/// retired have none; they are as many as the books know, whose ids begin with an earlier time.
async fn counts(db: &mut PgConnection, fold: &Fold, models: Models, report: &mut Report) -> Result<()> {
    let row = sqlx::query!(
        r#"select (select count(*) from read_models.requests where version = $1)
                      + (select count(*) from ledger.holds h where h.request_id < $3) as "requests!",
                  (select count(*) from read_models.credit_balances where version = $1) as "balances!",
                  (select count(*) from read_models.api_keys where version = $1) as "keys!",
                  (select count(*) from read_models.credit_transactions where version = $1 and position > $2) as "transactions!",
                  (select count(*) from projector.projection_quarantine where version = $1) as "quarantined!""#,
        models.version,
        models.position as i64,
        models.kept.first_request()
    )
    .fetch_one(&mut *db)
    .await?;
    if row.quarantined > 0 {
        let what = format!("{} events could not be projected: see projector.projection_quarantine", row.quarantined);
        report.differs(None, "read models", what);
    }
    if row.transactions > 0 {
        report.differs(None, "credit_transactions", format!("{} rows are of later events", row.transactions));
    }
    if row.requests as u64 != fold.counts.requests {
        let unfounded = sqlx::query_scalar!(
            r#"select r.request_id from read_models.requests r where version = $1 and (
                   not exists (select from ledger.events e where e.request_id = r.request_id and e.position <= $2)
                   or exists (select from read_models.requests o
                              where o.version = $1 and o.request_id = r.request_id and o.created_at < r.created_at))
               limit 1000"#,
            models.version,
            models.position as i64
        )
        .fetch_all(&mut *db)
        .await?;
        for id in unfounded {
            report.differs(None, "usage_logs", format!("{id} is in no event"));
        }
        let what = format!("{} requests, and the events say {}", row.requests, fold.counts.requests);
        report.differs(None, "usage_logs", what);
    }
    for (table, found, should) in [
        ("credit_balances", row.balances as u64, fold.books.accounts.len() as u64),
        ("api_keys", row.keys as u64, fold.books.keys.len() as u64),
    ] {
        if found != should {
            report.differs(None, table, format!("{found} rows, and the events say {should}"));
        }
    }
    Ok(())
}
