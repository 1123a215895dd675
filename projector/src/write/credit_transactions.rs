use sqlx::PgConnection;
use uuid::Uuid;

use super::column;
use crate::fold::Transaction;

/// Top-ups and adjustments.
pub(super) async fn write(
    connection: &mut PgConnection,
    version: i32,
    rows: &[Transaction],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into read_models.credit_transactions (version, position, account_id, request_id, kind, amount, reference,
            made_by, reason, livemode, created_at)
         select $1, t.position, t.account_id, t.request_id, t.kind, t.amount * 0.000000001, t.reference, t.made_by, t.reason,
            t.livemode, t.created_at
         from unnest($2::int8[], $3::uuid[], $4::uuid[], $5::text[], $6::int8[], $7::text[], $8::text[], $9::text[], $10::bool[],
            $11::timestamptz[])
            as t(position, account_id, request_id, kind, amount, reference, made_by, reason, livemode, created_at)",
        version,
        &column(rows, |row| row.position),
        &column(rows, |row| row.account_id),
        &column(rows, |row| row.request_id) as &[Option<Uuid>],
        &column(rows, |row| row.kind.name()) as &[&str],
        &column(rows, |row| row.amount.get()),
        &column(rows, |row| row.reference.as_str()) as &[&str],
        &column(rows, |row| row.made_by.as_str()) as &[&str],
        &column(rows, |row| row.reason.as_str()) as &[&str],
        &column(rows, |row| row.livemode),
        &column(rows, |row| row.created_at),
    )
    .execute(connection)
    .await?;
    Ok(())
}
