use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{column, expect_rows};
use crate::apply::ApplyError;
use crate::fold::{KeyChange, NewKey};

/// Keys that were issued.
pub(super) async fn issue(connection: &mut PgConnection, version: i32, rows: &[NewKey]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into read_models.api_keys
            (version, id, account_id, key_hash, key_prefix, name, is_active, expires_at, created_at)
         select $1, k.id, k.account_id, k.key_hash, k.key_prefix, k.name, true, k.expires_at, k.created_at
         from unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
            as k(id, account_id, key_hash, key_prefix, name, expires_at, created_at)",
        version,
        &column(rows, |row| row.id),
        &column(rows, |row| row.account_id),
        &column(rows, |row| row.key_hash.as_str()) as &[&str],
        &column(rows, |row| row.key_prefix.as_str()) as &[&str],
        &column(rows, |row| row.name.as_str()) as &[&str],
        &column(rows, |row| row.expires_at) as &[Option<chrono::DateTime<chrono::Utc>>],
        &column(rows, |row| row.created_at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What keys change by.
pub(super) async fn change(
    connection: &mut PgConnection,
    version: i32,
    changes: &BTreeMap<Uuid, KeyChange>,
) -> Result<(), ApplyError> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changes.iter().collect();
    let changed = sqlx::query!(
        "update read_models.api_keys k set
            is_active = k.is_active and not c.revoked,
            last_used_at = greatest(k.last_used_at, c.last_used_at)
         from unnest($2::uuid[], $3::bool[], $4::timestamptz[]) as c(id, revoked, last_used_at)
         where k.version = $1 and k.id = c.id",
        version,
        &column(&rows, |row| *row.0),
        &column(&rows, |row| row.1.revoked),
        &column(&rows, |row| row.1.last_used_at) as &[Option<chrono::DateTime<chrono::Utc>>],
    )
    .execute(connection)
    .await?
    .rows_affected();
    expect_rows("api_keys", rows.len(), changed)
}
