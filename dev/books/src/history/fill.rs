use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use super::rows;
use super::year::{What, Year};

/// Rows are sent in pieces of about so many bytes.
const PIECE: usize = 1 << 20;

/// What was written, and how long it took.
#[derive(Debug)]
pub struct Filled {
    /// Events that it would have been.
    pub events: u64,
    /// Writing the rows of requests, balances, keys and transactions.
    pub rows: Duration,
    /// Summing them up.
    pub rollups: Duration,
}

/// Writes a year into the live version of a migrated database without read models. Hours are summed up from
/// a month on. `tell` hears how many requests are there.
///
/// The journal is not among it: three rows a request, which none of the queries reads. `projection.history_from` says so.
///
/// # Errors
/// When the database fails.
pub async fn fill(
    db: &mut PgConnection,
    mut year: Year,
    hours_from: Option<DateTime<Utc>>,
    mut tell: impl FnMut(u64),
) -> Result<Filled> {
    let begin = Instant::now();
    let version: i32 =
        sqlx::query_scalar("select version from projector.projection where live").fetch_one(&mut *db).await?;
    let until = year.begin() + TimeDelta::days(366);
    sqlx::query("select projector.ensure_months($1, $2, $3)")
        .bind(version)
        .bind(year.begin())
        .bind(until)
        .execute(&mut *db)
        .await?;
    // Requests are written once here, and not again as they go on: no room is left for that.
    let months: Vec<String> = sqlx::query_scalar(
        "select inhrelid::regclass::text from pg_inherits where inhparent = ('read_models.requests_' || $1::int)::regclass",
    )
    .bind(version)
    .fetch_all(&mut *db)
    .await?;
    for month in months {
        sqlx::query(AssertSqlSafe(format!("alter table {month} set (fillfactor = 100)"))).execute(&mut *db).await?;
    }
    let (mut text, mut told, mut books, mut transactions) = (String::new(), 0, Vec::new(), String::new());
    let statement = format!("copy read_models.requests_{version} ({}) from stdin", rows::REQUEST);
    let mut copy = db.copy_in_raw(&statement).await?;
    let events = year
        .tell(async |year, step| {
            match &step.what {
                What::Request(request) => {
                    rows::request(&mut text, version, year, &step, request)?;
                    told += 1;
                }
                What::TopUp(rank, amount) => {
                    rows::transaction(&mut transactions, version, year, &step, (*rank, "top_up", *amount, "paid"))?;
                }
                What::Goodwill(rank, amount) => {
                    let row = (*rank, "adjustment", *amount, "goodwill");
                    rows::transaction(&mut transactions, version, year, &step, row)?;
                }
                What::Prices(book) => books.push((book.clone(), step.position)),
                What::SignUp(_) => {}
            }
            if text.len() >= PIECE {
                copy.send(text.as_bytes()).await?;
                text.clear();
                tell(told);
            }
            Ok(())
        })
        .await?;
    copy.send(text.as_bytes()).await?;
    copy.finish().await?;
    let (balances, keys) = rows::accounts(version, &year)?;
    for (table, columns, text) in [
        ("credit_transactions", rows::TRANSACTION, transactions),
        ("credit_balances", rows::BALANCE, balances),
        ("api_keys", rows::KEY, keys),
    ] {
        let mut copy = db.copy_in_raw(&format!("copy read_models.{table} ({columns}) from stdin")).await?;
        copy.send(text.as_bytes()).await.with_context(|| table.to_owned())?;
        copy.finish().await.with_context(|| table.to_owned())?;
    }
    for (book, position) in books {
        sqlx::query("insert into read_models.price_books (version, price_version, position, book) values ($1, $2, $3, $4::jsonb)")
            .bind(version)
            .bind(i32::try_from(book.version)?)
            .bind(i64::try_from(position)?)
            .bind(serde_json::to_string(book.as_ref())?)
            .execute(&mut *db)
            .await?;
    }
    let rows = begin.elapsed();
    let begin = Instant::now();
    if let Some(from) = hours_from {
        let retire = sqlx::query("select projector.retire_months($1, 'usage_hourly', $2)").bind(version).bind(from);
        retire.execute(&mut *db).await?;
    }
    sqlx::query("select projector.fill_rollups($1)").bind(version).execute(&mut *db).await?;
    sqlx::query(
        "update projector.projection set position = $2, rollups_position = $2, history_from = $2 + 1, as_of = now() where version = $1",
    )
    .bind(version)
    .bind(i64::try_from(events)?)
    .execute(&mut *db)
    .await?;
    let rollups = begin.elapsed();
    // As autovacuum leaves it.
    let tables: Vec<String> = sqlx::query_scalar("select unnest(projector.tables())").fetch_all(&mut *db).await?;
    for table in tables {
        sqlx::query(AssertSqlSafe(format!("vacuum (analyze) read_models.{table}_{version}"))).execute(&mut *db).await?;
    }
    Ok(Filled { events, rows, rollups })
}
