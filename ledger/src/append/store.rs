//! Writes a batch: one statement a table, the log's end last and on condition of the epoch.

use chrono::{DateTime, Utc};
use schemas::books::{Books, Ending};
use schemas::merkle::Hash;
use sqlx::PgConnection;

use super::batch::Written;
use super::state::State;
use crate::tree;

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed or refused.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Another ledger writes now. This one must end.
    #[error("another ledger has taken over: this one's epoch is over")]
    StaleEpoch,
    /// What is in memory cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes everything of a batch within the caller's transaction.
pub async fn store(db: &mut PgConnection, state: &State, written: &Written) -> Result<(), StoreError> {
    // First, so that of two writers the stale one stops here and locks nothing else.
    let recorded_at = head(db, state, written).await?;
    accounts(db, &state.books).await?;
    leases(db, &state.books).await?;
    holds(db, &state.books, recorded_at).await?;
    emitters(db, &state.books).await?;
    keys(db, &state.books).await?;
    spending(db, &state.books).await?;
    reservations(db, state, written).await?;
    references(db, &state.books).await?;
    prices(db, &state.books).await?;
    closed(db, &state.books).await?;
    lives(db, state, written).await?;
    events(db, written, recorded_at).await?;
    tree::store(db, &written.tiles).await?;
    oddities(db, state, written).await
}

/// When the batch is recorded: a clock may be set back, the time in the log does not go back, so that a month is a range of
/// positions.
async fn head(db: &mut PgConnection, state: &State, written: &Written) -> Result<DateTime<Utc>, StoreError> {
    let (head, edge) = (&state.head, state.tree.edge());
    let before = written.events.first().map_or(head.position, |row| row.position - 1);
    let recorded_at = sqlx::query_scalar!(
        r#"update ledger.head set position = $1, generation = $2, stream_seq = $3, stream_anchor = $4, tree_size = $5,
                tree_peaks = $6
         where epoch = $7
         returning greatest(now(), (select e.recorded_at from ledger.events e where e.position = $8)) as "recorded_at!""#,
        head.position as i64,
        head.generation as i64,
        head.stream_seq as i64,
        head.anchor.as_ref().map(|anchor| &anchor.0[..]),
        edge.size() as i64,
        Hash::concat(edge.peaks()),
        head.epoch as i64,
        before as i64
    )
    .fetch_optional(db)
    .await?;
    recorded_at.ok_or(StoreError::StaleEpoch)
}

async fn events(db: &mut PgConnection, written: &Written, recorded_at: DateTime<Utc>) -> Result<(), StoreError> {
    let rows = &written.events;
    if rows.is_empty() {
        return Ok(());
    }
    let positions: Vec<i64> = rows.iter().map(|row| row.position as i64).collect();
    let ids: Vec<_> = rows.iter().map(|row| row.event_id.0).collect();
    let types: Vec<String> = rows.iter().map(|row| row.event_type.to_owned()).collect();
    let accounts: Vec<_> = rows.iter().map(|row| row.account_id).collect();
    let requests: Vec<_> = rows.iter().map(|row| row.request_id).collect();
    let emitters: Vec<_> = rows.iter().map(|row| row.emitter.0).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq as i64).collect();
    let bytes: Vec<&[u8]> = rows.iter().map(|row| row.bytes.as_ref()).collect();
    let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.recorded_at.unwrap_or(recorded_at)).collect();
    sqlx::query!(
        "insert into ledger.events (position, event_id, event_type, account_id, request_id, emitter, seq, event, recorded_at)
         select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::bigint[],
                              $8::bytea[], $9::timestamptz[])",
        &positions,
        &ids,
        &types,
        &accounts as &[Option<uuid::Uuid>],
        &requests as &[Option<uuid::Uuid>],
        &emitters,
        &seqs,
        &bytes as &[&[u8]],
        &times
    )
    .execute(&mut *db)
    .await?;
    let last = positions.last().copied().unwrap_or_default();
    sqlx::query!("select pg_notify('ledger_appended', $1)", last.to_string()).fetch_one(db).await?;
    Ok(())
}

async fn accounts(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    // Sorted, so that rows are locked in one order.
    let mut ids: Vec<_> = books.changed.accounts.iter().collect();
    ids.sort_unstable();
    let rows: Vec<_> = ids.into_iter().filter_map(|id| books.accounts.get(id)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = rows.iter().map(|row| row.account_id.0).collect();
    let livemode: Vec<bool> = rows.iter().map(|row| row.livemode).collect();
    let tiers: Vec<String> = rows.iter().map(|row| row.tier.name().to_owned()).collect();
    let counterparts: Vec<_> = rows.iter().map(|row| row.counterpart.0).collect();
    let references: Vec<Option<String>> = rows.iter().map(|row| row.reference.clone()).collect();
    let bought: Vec<i64> = rows.iter().map(|row| row.bought.get()).collect();
    let unleased: Vec<i64> = rows.iter().map(|row| row.unleased.get()).collect();
    let leased: Vec<i64> = rows.iter().map(|row| row.leased.get()).collect();
    let held: Vec<i64> = rows.iter().map(|row| row.held.get()).collect();
    let charged: Vec<i64> = rows.iter().map(|row| row.charged.get()).collect();
    let lost: Vec<i64> = rows.iter().map(|row| row.lost.get()).collect();
    sqlx::query!(
        "insert into ledger.accounts
             (account_id, livemode, tier, counterpart, reference, bought, unleased, leased, held, charged, lost)
         select * from unnest($1::uuid[], $2::boolean[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[],
                              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
         on conflict (account_id) do update set
             tier = excluded.tier, bought = excluded.bought, unleased = excluded.unleased, leased = excluded.leased,
             held = excluded.held, charged = excluded.charged, lost = excluded.lost",
        &ids,
        &livemode,
        &tiers,
        &counterparts,
        &references as &[Option<String>],
        &bought,
        &unleased,
        &leased,
        &held,
        &charged,
        &lost
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn leases(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    let mut keys: Vec<_> = books.changed.leases.iter().collect();
    keys.sort_unstable();
    let rows: Vec<_> = keys.into_iter().filter_map(|key| books.leases.get(key).map(|lease| (key, lease))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let gateways: Vec<_> = rows.iter().map(|(key, _)| key.0.0).collect();
    let accounts: Vec<_> = rows.iter().map(|(key, _)| key.1.0).collect();
    let granted: Vec<i64> = rows.iter().map(|(_, lease)| lease.granted.get()).collect();
    let returned: Vec<i64> = rows.iter().map(|(_, lease)| lease.returned.get()).collect();
    let charged: Vec<i64> = rows.iter().map(|(_, lease)| lease.charged.get()).collect();
    let held: Vec<i64> = rows.iter().map(|(_, lease)| lease.held.get()).collect();
    let closed: Vec<bool> = rows.iter().map(|(_, lease)| lease.closed).collect();
    sqlx::query!(
        "insert into ledger.leases (gateway, account_id, granted, returned, charged, held, closed)
         select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::boolean[])
         on conflict (gateway, account_id) do update set
             granted = excluded.granted, returned = excluded.returned, charged = excluded.charged,
             held = excluded.held, closed = excluded.closed",
        &gateways,
        &accounts,
        &granted,
        &returned,
        &charged,
        &held,
        &closed
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn holds(db: &mut PgConnection, books: &Books, recorded_at: DateTime<Utc>) -> Result<(), StoreError> {
    let mut ids: Vec<_> = books.changed.holds.iter().collect();
    ids.sort_unstable();
    let rows: Vec<_> = ids.into_iter().filter_map(|id| books.holds.get(id)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let requests: Vec<_> = rows.iter().map(|row| row.request_id.0).collect();
    let accounts: Vec<_> = rows.iter().map(|row| row.account_id.0).collect();
    let gateways: Vec<_> = rows.iter().map(|row| row.gateway.map(|id| id.0)).collect();
    let authorized_at: Vec<_> = rows.iter().map(|row| row.authorized_at.map(|at| at as i64)).collect();
    let held: Vec<_> = rows.iter().map(|row| row.slots.authorization.map(|slot| slot.hold.get())).collect();
    let counts: Vec<_> = rows.iter().map(|row| row.slots.authorization.map(|slot| slot.counts)).collect();
    let usages: Vec<_> = rows.iter().map(|row| row.slots.usage.map(|rated| rated.get())).collect();
    let endings: Vec<_> =
        rows.iter().map(|row| row.slots.ending.map(|ending| ending_name(ending).to_owned())).collect();
    let claims: Vec<_> = rows.iter().map(|row| row.slots.ending.and_then(claim)).collect();
    let charged: Vec<_> = rows.iter().map(|row| row.slots.charged.map(|charged| charged.get())).collect();
    let capped_keys: Vec<_> = rows.iter().map(|row| row.key_period.map(|period| period.api_key_id.0)).collect();
    let capped_from: Vec<_> = rows.iter().map(|row| row.key_period.map(|period| period.from)).collect();
    sqlx::query!(
        "insert into ledger.holds (request_id, account_id, gateway, authorized_at, hold, counts, usage, ending, claimed,
                                   charged, capped_key, capped_from, authorized_time)
         select *, case when authorized_at is not null then $13::timestamptz end
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::boolean[], $7::bigint[],
                     $8::text[], $9::bigint[], $10::bigint[], $11::uuid[], $12::date[])
              as new(request_id, account_id, gateway, authorized_at, hold, counts, usage, ending, claimed, charged,
                     capped_key, capped_from)
         on conflict (request_id) do update set
             gateway = excluded.gateway, authorized_at = excluded.authorized_at, hold = excluded.hold,
             counts = excluded.counts, usage = excluded.usage, ending = excluded.ending, claimed = excluded.claimed,
             charged = excluded.charged, capped_key = excluded.capped_key, capped_from = excluded.capped_from,
             authorized_time = coalesce(holds.authorized_time, excluded.authorized_time)",
        &requests,
        &accounts,
        &gateways as &[Option<uuid::Uuid>],
        &authorized_at as &[Option<i64>],
        &held as &[Option<i64>],
        &counts as &[Option<bool>],
        &usages as &[Option<i64>],
        &endings as &[Option<String>],
        &claims as &[Option<i64>],
        &charged as &[Option<i64>],
        &capped_keys as &[Option<uuid::Uuid>],
        &capped_from as &[Option<chrono::NaiveDate>],
        recorded_at
    )
    .execute(db)
    .await?;
    Ok(())
}

/// As it is written in the table.
pub fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Deducted(_) => "deducted",
        Ending::Released => "released",
        Ending::Expired => "expired",
    }
}

/// The amount that a deduction claims.
pub fn claim(ending: Ending) -> Option<i64> {
    match ending {
        Ending::Deducted(claim) => Some(claim.get()),
        Ending::Released | Ending::Expired => None,
    }
}

async fn emitters(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    let mut ids: Vec<_> = books.changed.emitters.iter().collect();
    ids.sort_unstable();
    let rows: Vec<_> = ids.into_iter().filter_map(|id| books.emitters.get(id).map(|emitter| (id, emitter))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = rows.iter().map(|(id, _)| id.0).collect();
    let seen: Vec<String> = rows.iter().map(|(_, emitter)| emitter.seen.to_string()).collect();
    let never: Vec<String> = rows.iter().map(|(_, emitter)| emitter.never.to_string()).collect();
    let fenced: Vec<bool> = rows.iter().map(|(_, emitter)| emitter.fenced).collect();
    sqlx::query!(
        "insert into ledger.emitters (emitter, seen, never, fenced)
         select emitter, seen::int8multirange, never::int8multirange, fenced
         from unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[]) as new(emitter, seen, never, fenced)
         on conflict (emitter) do update set seen = excluded.seen, never = excluded.never, fenced = excluded.fenced",
        &ids,
        &seen,
        &never,
        &fenced
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn keys(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    for key in books.changed.keys.iter().filter_map(|id| books.keys.get(id)) {
        sqlx::query!(
            "insert into ledger.keys (api_key_id, account_id, key_hash, key_prefix, name, expires_at, revoked, created_at,
                                      models, cap, cap_period)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             on conflict (api_key_id) do update set revoked = excluded.revoked",
            key.api_key_id.0,
            key.account_id.0,
            &key.key_hash.0[..],
            key.key_prefix,
            key.name,
            key.expires_at,
            key.revoked,
            key.created_at,
            key.restrictions.models.as_deref(),
            key.restrictions.cap.map(|cap| cap.credits.get()),
            key.restrictions.cap.map(|cap| cap.period.name())
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn spending(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    let mut periods: Vec<_> = books.changed.spending.iter().collect();
    periods.sort_unstable();
    let rows: Vec<_> = periods.into_iter().filter_map(|period| Some((period, books.spending.get(period)?))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let keys: Vec<_> = rows.iter().map(|(period, _)| period.api_key_id.0).collect();
    let from: Vec<_> = rows.iter().map(|(period, _)| period.from).collect();
    let held: Vec<i64> = rows.iter().map(|(_, spending)| spending.held.get()).collect();
    let charged: Vec<i64> = rows.iter().map(|(_, spending)| spending.charged.get()).collect();
    sqlx::query!(
        "insert into ledger.key_spending (api_key_id, period_from, held, charged)
         select * from unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[])
         on conflict (api_key_id, period_from) do update set held = excluded.held, charged = excluded.charged",
        &keys,
        &from,
        &held,
        &charged
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn reservations(db: &mut PgConnection, state: &State, written: &Written) -> Result<(), StoreError> {
    if written.reservations.is_empty() {
        return Ok(());
    }
    // Also those that are promised anew: to another life, or in another amount.
    let before: Vec<_> = written.reservations.iter().map(|request_id| request_id.0).collect();
    sqlx::query!("delete from ledger.key_reservations where request_id = any($1)", &before).execute(&mut *db).await?;
    for (request_id, made) in written.reservations.iter().filter_map(|id| Some((id, state.reservations.get(*id)?))) {
        sqlx::query!(
            "insert into ledger.key_reservations (request_id, api_key_id, gateway, amount) values ($1, $2, $3, $4)
             on conflict do nothing",
            request_id.0,
            made.api_key_id.0,
            made.gateway.0,
            made.amount.get()
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn references(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    for key in &books.changed.references {
        let Some(referenced) = books.references.get(key) else { continue };
        sqlx::query!(
            "insert into ledger.refs (account_id, reference, position, amount, loss) values ($1, $2, $3, $4, $5)",
            key.0.0,
            key.1,
            referenced.position as i64,
            referenced.amount.get(),
            referenced.loss.get()
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn prices(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    for published in books.changed.prices.iter().filter_map(|version| books.prices.get(version)) {
        sqlx::query!(
            "insert into ledger.price_books (version, position, book) values ($1, $2, $3::text::json)",
            published.book.version as i32,
            published.position as i64,
            serde_json::to_string(&*published.book)?
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn closed(db: &mut PgConnection, books: &Books) -> Result<(), StoreError> {
    for (id, closed) in books.changed.closed.iter().filter_map(|id| books.closed.get(id).map(|closed| (id, closed))) {
        sqlx::query!(
            "update ledger.quarantine set state = $2, position = $3, emitter = coalesce(emitter, $4), seq = coalesce(seq, $5)
             where id = $1",
            *id as i64,
            closed.closed_as.name(),
            closed.position as i64,
            closed.said.map(|(emitter, _)| emitter.0),
            closed.said.map(|(_, seq)| seq as i64)
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn lives(db: &mut PgConnection, state: &State, written: &Written) -> Result<(), StoreError> {
    for (gateway, life) in written.lives.iter().filter_map(|id| state.lives.get(id).map(|life| (id, life))) {
        let gates: Vec<i64> = life.gates.iter().map(|seq| *seq as i64).collect();
        sqlx::query!(
            "insert into ledger.lives (gateway, process, generation, gates, state, closed_gates)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (gateway) do update set state = excluded.state, closed_gates = excluded.closed_gates",
            gateway.0,
            life.process,
            life.generation as i64,
            &gates,
            life.state.name(),
            life.closed_gates as i64
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn oddities(db: &mut PgConnection, state: &State, written: &Written) -> Result<(), StoreError> {
    for (position, note) in &written.notes {
        sqlx::query!(
            "insert into ledger.notes (position, note) values ($1, $2) on conflict do nothing",
            *position as i64,
            note.name()
        )
        .execute(&mut *db)
        .await?;
    }
    for row in &written.quarantined {
        sqlx::query!(
            "insert into ledger.quarantine (generation, stream_seq, subject, emitter, seq, reason, message)
             values ($1, $2, $3, $4, $5, $6, $7)",
            state.head.generation as i64,
            row.message.stream_seq as i64,
            row.message.subject,
            row.emitter.map(|id| id.0),
            row.seq.map(|seq| seq as i64),
            row.reason,
            row.message.payload.as_ref()
        )
        .execute(&mut *db)
        .await?;
    }
    for (id, reason) in &written.refused_again {
        sqlx::query!(
            "update ledger.quarantine set retry_reason = $2, retried_at = now() where id = $1 and state = 'open'",
            *id as i64,
            reason
        )
        .execute(&mut *db)
        .await?;
    }
    for (emitter, count) in &written.repeated {
        sqlx::query!(
            "insert into ledger.repeats (emitter, count) values ($1, $2)
             on conflict (emitter) do update set count = repeats.count + excluded.count, last_at = now()",
            emitter.0,
            count
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
