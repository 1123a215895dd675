use sqlx::PgConnection;
use uuid::Uuid;

use super::column;
use crate::fold::Entry;

/// Postings, in the order of the log. What did not move is null: it takes no room.
pub(super) async fn write(connection: &mut PgConnection, version: i32, rows: &[Entry]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let amounts = |amount: fn(&Entry) -> i64| column(rows, |row| Some(amount(row)).filter(|amount| *amount != 0));
    sqlx::query!(
        "insert into read_models.journal (version, account_id, position, recorded_at, request_id, livemode, entry, added, adjusted,
            held, charged, lost, cost, balance_after, held_after)
         select $1, j.*
         from unnest($2::uuid[], $3::int8[], $4::timestamptz[], $5::uuid[], $6::bool[], $7::text[], $8::int8[], $9::int8[],
            $10::int8[], $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[]) as j",
        version,
        &column(rows, |row| row.account_id),
        &column(rows, |row| row.position),
        &column(rows, |row| row.recorded_at),
        &column(rows, |row| row.request_id) as &[Option<Uuid>],
        &column(rows, |row| row.livemode),
        &column(rows, |row| row.entry) as &[&str],
        &amounts(|row| row.moved.added.get()) as &[Option<i64>],
        &amounts(|row| row.moved.adjusted.get()) as &[Option<i64>],
        &amounts(|row| row.moved.held.get()) as &[Option<i64>],
        &amounts(|row| row.moved.charged.get()) as &[Option<i64>],
        &amounts(|row| row.moved.lost.get()) as &[Option<i64>],
        &amounts(|row| row.moved.cost.get()) as &[Option<i64>],
        &column(rows, |row| row.after.balance.get()),
        &column(rows, |row| row.after.held.get()),
    )
    .execute(connection)
    .await?;
    Ok(())
}
