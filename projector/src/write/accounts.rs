use std::collections::{BTreeMap, HashMap};

use schemas::money::Nanocredits;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{column, expect_rows};
use crate::apply::ApplyError;
use crate::fold::{AccountChange, NewAccount, Standing};

/// What these accounts have; those that are not opened yet are missing.
pub(crate) async fn load(
    connection: &mut PgConnection,
    version: i32,
    wanted: &[Uuid],
) -> Result<HashMap<Uuid, Standing>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"select b.account_id, ((b.bought - b.charged) * 1000000000)::int8 as "balance!", (b.held * 1000000000)::int8 as "held!"
           from read_models.credit_balances b where b.version = $1 and b.account_id = any($2)"#,
        version,
        wanted,
    )
    .fetch_all(connection)
    .await?;
    let standing = |balance, held| Standing { balance: Nanocredits::new(balance), held: Nanocredits::new(held) };
    Ok(rows.into_iter().map(|row| (row.account_id, standing(row.balance, row.held))).collect())
}

/// Accounts that were opened.
pub(super) async fn open(connection: &mut PgConnection, version: i32, rows: &[NewAccount]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into read_models.credit_balances (version, account_id, tier, livemode, position, updated_at)
         select $1, * from unnest($2::uuid[], $3::text[], $4::bool[], $5::int8[], $6::timestamptz[])",
        version,
        &column(rows, |row| row.account_id),
        &column(rows, |row| row.tier) as &[&str],
        &column(rows, |row| row.livemode),
        &column(rows, |row| row.position),
        &column(rows, |row| row.updated_at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What accounts change by.
pub(super) async fn change(
    connection: &mut PgConnection,
    version: i32,
    changes: &BTreeMap<Uuid, AccountChange>,
) -> Result<(), ApplyError> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changes.iter().collect();
    let changed = sqlx::query!(
        "update read_models.credit_balances b set
            tier = coalesce(c.tier, b.tier),
            bought = b.bought + c.bought * 0.000000001,
            charged = b.charged + c.charged * 0.000000001,
            held = b.held + c.held * 0.000000001,
            lost = b.lost + c.lost * 0.000000001,
            position = c.position,
            updated_at = c.updated_at
         from unnest($2::uuid[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::timestamptz[])
            as c(account_id, tier, bought, charged, held, lost, position, updated_at)
         where b.version = $1 and b.account_id = c.account_id",
        version,
        &column(&rows, |row| *row.0),
        &column(&rows, |row| row.1.tier) as &[Option<&str>],
        &column(&rows, |row| row.1.bought.get()),
        &column(&rows, |row| row.1.charged.get()),
        &column(&rows, |row| row.1.held.get()),
        &column(&rows, |row| row.1.lost.get()),
        &column(&rows, |row| row.1.position),
        &column(&rows, |row| row.1.updated_at),
    )
    .execute(connection)
    .await?
    .rows_affected();
    expect_rows("credit_balances", rows.len(), changed)
}
