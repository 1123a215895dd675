use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::column;
use crate::fold::{Daily, DailyKey};

/// What days change by.
pub(super) async fn change(
    connection: &mut PgConnection,
    version: i32,
    changes: &BTreeMap<DailyKey, Daily>,
) -> Result<(), sqlx::Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changes.iter().collect();
    sqlx::query!(
        "insert into read_models.usage_daily as d (version, account_id, day, model_id, provider, livemode, requests, failed,
            cancelled, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used,
            cost_usd)
         select $1, c.account_id, c.day, c.model_id, c.provider, c.livemode, c.requests, c.failed, c.cancelled, c.input_tokens,
            c.cached_tokens, c.cache_write_tokens, c.output_tokens, c.reasoning_tokens, c.images, c.credits_used * 0.000000001,
            c.cost_usd * 0.000000000001
         from unnest($2::uuid[], $3::date[], $4::text[], $5::text[], $6::bool[], $7::int8[], $8::int8[], $9::int8[], $10::int8[],
            $11::int8[], $12::int8[], $13::int8[], $14::int8[], $15::int8[], $16::int8[], $17::int8[])
            as c(account_id, day, model_id, provider, livemode, requests, failed, cancelled, input_tokens, cached_tokens,
                cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd)
         on conflict (account_id, day, model_id, provider, version) do update set
            requests = d.requests + excluded.requests,
            failed = d.failed + excluded.failed,
            cancelled = d.cancelled + excluded.cancelled,
            input_tokens = d.input_tokens + excluded.input_tokens,
            cached_tokens = d.cached_tokens + excluded.cached_tokens,
            cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens,
            output_tokens = d.output_tokens + excluded.output_tokens,
            reasoning_tokens = d.reasoning_tokens + excluded.reasoning_tokens,
            images = d.images + excluded.images,
            credits_used = d.credits_used + excluded.credits_used,
            cost_usd = d.cost_usd + excluded.cost_usd",
        version,
        &column(&rows, |row| row.0.account_id),
        &column(&rows, |row| row.0.day),
        &column(&rows, |row| row.0.model_id.as_str()) as &[&str],
        &column(&rows, |row| row.0.provider.as_str()) as &[&str],
        &column(&rows, |row| row.1.livemode),
        &column(&rows, |row| row.1.requests),
        &column(&rows, |row| row.1.failed),
        &column(&rows, |row| row.1.cancelled),
        &column(&rows, |row| row.1.tokens.input),
        &column(&rows, |row| row.1.tokens.cached),
        &column(&rows, |row| row.1.tokens.cache_write),
        &column(&rows, |row| row.1.tokens.output),
        &column(&rows, |row| row.1.tokens.reasoning),
        &column(&rows, |row| row.1.tokens.images),
        &column(&rows, |row| row.1.credits_used.get()),
        &column(&rows, |row| row.1.cost_usd.get()),
    )
    .execute(&mut *connection)
    .await?;
    // A late fact can move a request to another sum. An empty one goes, as if it had never been: a rebuild makes none.
    let left: Vec<_> = rows.iter().filter(|row| row.1.requests < 0).collect();
    if !left.is_empty() {
        sqlx::query!(
            "delete from read_models.usage_daily d
             using unnest($2::uuid[], $3::date[], $4::text[], $5::text[]) as l(account_id, day, model_id, provider)
             where d.version = $1 and d.requests = 0 and d.account_id = l.account_id and d.day = l.day
                and d.model_id = l.model_id and d.provider = l.provider",
            version,
            &column(&left, |row| row.0.account_id),
            &column(&left, |row| row.0.day),
            &column(&left, |row| row.0.model_id.as_str()) as &[&str],
            &column(&left, |row| row.0.provider.as_str()) as &[&str],
        )
        .execute(connection)
        .await?;
    }
    Ok(())
}
