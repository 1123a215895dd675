use chrono::{DateTime, Utc};
use schemas::books::{Authorization, Ending, Slots};
use schemas::money::{Nanocredits, Picodollars};
use sqlx::PgConnection;
use uuid::Uuid;

use super::column;
use crate::fold::{Facts, Request, Tokens};
use crate::kept::Kept;

/// What is known of these requests. Their ids come with the times inside, so that each is looked for in one partition. Each by
/// itself (`limit 1`): of a table that is new the planner knows nothing, and would read all of it for each.
pub(crate) async fn load(
    connection: &mut PgConnection,
    version: i32,
    wanted: &[(Uuid, DateTime<Utc>)],
) -> Result<Vec<Request>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select r.request_id, r.created_at, r.account_id, r.livemode,
            (r.hold_credits * 1000000000)::int8 as hold, r.hold_counts, (r.rated_credits * 1000000000)::int8 as rated, r.ending,
            (r.charged_credits * 1000000000)::int8 as charged, r.api_key_id, r.model_id, r.served_model_id, r.provider, r.upstream,
            r.request_type, r.streamed, r.price_version, r.input_tokens, r.cached_tokens, r.cache_write_tokens, r.output_tokens,
            r.reasoning_tokens, r.images, r.searches, (r.cost_usd * 1000000000000)::int8 as "cost_usd!", r.usage_source,
            r.provider_request_id, r.latency_ms, r.ttft_ms, r.status, r.error_message, r.error_code, r.finished_at, r.position
           from unnest($2::uuid[], $3::timestamptz[]) as w(request_id, created_at)
           cross join lateral (
             select * from read_models.requests k
             where k.version = $1 and k.request_id = w.request_id and k.created_at = w.created_at limit 1) r"#,
        version,
        &column(wanted, |row| row.0),
        &column(wanted, |row| row.1),
    )
    .fetch_all(connection)
    .await?;
    let requests = rows.into_iter().map(|row| Request {
        request_id: row.request_id,
        created_at: row.created_at,
        account_id: row.account_id,
        livemode: row.livemode,
        slots: Slots {
            authorization: row.hold.map(|hold| Authorization {
                hold: Nanocredits::new(hold),
                counts: row.hold_counts.unwrap_or_default(),
            }),
            usage: row.rated.map(Nanocredits::new),
            ending: row.ending.as_deref().and_then(ending_of),
            charged: row.charged.map(Nanocredits::new),
        },
        facts: Facts {
            api_key_id: row.api_key_id,
            model_id: row.model_id,
            served_model_id: row.served_model_id,
            provider: row.provider,
            upstream: row.upstream,
            request_type: row.request_type,
            streamed: row.streamed,
            price_version: row.price_version,
            tokens: Tokens {
                input: row.input_tokens,
                cached: row.cached_tokens,
                cache_write: row.cache_write_tokens,
                output: row.output_tokens,
                reasoning: row.reasoning_tokens,
                images: row.images,
                searches: row.searches,
            },
            cost_usd: Picodollars::new(row.cost_usd),
            usage_source: row.usage_source,
            provider_request_id: row.provider_request_id,
            latency_ms: row.latency_ms,
            ttft_ms: row.ttft_ms,
            status: row.status,
            error_message: row.error_message,
            error_code: row.error_code,
            finished_at: row.finished_at,
        },
        position: row.position,
    });
    Ok(requests.collect())
}

/// Requests as they are now, where they are kept.
pub(super) async fn write(
    connection: &mut PgConnection,
    version: i32,
    kept: &Kept,
    rows: &[Request],
) -> Result<(), sqlx::Error> {
    // Of a month that was retired nothing is kept: a row of it would look like all that there is.
    let rows = &rows.iter().filter(|row| row.created_at >= kept.requests).collect::<Vec<_>>();
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into read_models.requests (version, request_id, created_at, account_id, livemode, hold_credits, hold_counts,
            rated_credits, ending, charged_credits, ended, api_key_id, model_id, served_model_id, provider, upstream, request_type,
            streamed, price_version, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images,
            searches, cost_usd, usage_source, provider_request_id, latency_ms, ttft_ms, status, error_message, finished_at, position, error_code)
         select $1, r.request_id, r.created_at, r.account_id, r.livemode, r.hold * 0.000000001, r.hold_counts,
            r.rated * 0.000000001, r.ending, r.charged * 0.000000001, r.ended, r.api_key_id, r.model_id, r.served_model_id,
            r.provider, r.upstream, r.request_type, r.streamed, r.price_version, r.input_tokens, r.cached_tokens,
            r.cache_write_tokens, r.output_tokens, r.reasoning_tokens, r.images, r.searches, r.cost * 0.000000000001,
            r.usage_source, r.provider_request_id, r.latency_ms, r.ttft_ms, r.status, r.error_message, r.finished_at, r.position,
            r.error_code
         from unnest($2::uuid[], $3::timestamptz[], $4::uuid[], $5::bool[], $6::int8[], $7::bool[], $8::int8[], $9::text[],
            $10::int8[], $11::bool[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::bool[],
            $19::int4[], $20::int8[], $21::int8[], $22::int8[], $23::int8[], $24::int8[], $25::int8[], $26::int8[], $27::int8[],
            $28::text[], $29::text[], $30::int8[], $31::int8[], $32::text[], $33::text[], $34::timestamptz[], $35::int8[], $36::text[])
            as r(request_id, created_at, account_id, livemode, hold, hold_counts, rated, ending, charged, ended, api_key_id,
                model_id, served_model_id, provider, upstream, request_type, streamed, price_version, input_tokens, cached_tokens,
                cache_write_tokens, output_tokens, reasoning_tokens, images, searches, cost, usage_source, provider_request_id,
                latency_ms, ttft_ms, status, error_message, finished_at, position, error_code)
         on conflict (request_id, created_at, version) do update set
            hold_credits = excluded.hold_credits,
            hold_counts = excluded.hold_counts,
            rated_credits = excluded.rated_credits,
            ending = excluded.ending,
            charged_credits = excluded.charged_credits,
            ended = excluded.ended,
            api_key_id = excluded.api_key_id,
            model_id = excluded.model_id,
            served_model_id = excluded.served_model_id,
            provider = excluded.provider,
            upstream = excluded.upstream,
            request_type = excluded.request_type,
            streamed = excluded.streamed,
            price_version = excluded.price_version,
            input_tokens = excluded.input_tokens,
            cached_tokens = excluded.cached_tokens,
            cache_write_tokens = excluded.cache_write_tokens,
            output_tokens = excluded.output_tokens,
            reasoning_tokens = excluded.reasoning_tokens,
            images = excluded.images,
            searches = excluded.searches,
            cost_usd = excluded.cost_usd,
            usage_source = excluded.usage_source,
            provider_request_id = excluded.provider_request_id,
            latency_ms = excluded.latency_ms,
            ttft_ms = excluded.ttft_ms,
            status = excluded.status,
            error_message = excluded.error_message,
            error_code = excluded.error_code,
            finished_at = excluded.finished_at,
            position = excluded.position",
        version,
        &column(rows, |row| row.request_id),
        &column(rows, |row| row.created_at),
        &column(rows, |row| row.account_id),
        &column(rows, |row| row.livemode),
        &column(rows, |row| row.slots.authorization.map(|authorization| authorization.hold.get())) as &[Option<i64>],
        &column(rows, |row| row.slots.authorization.map(|authorization| authorization.counts)) as &[Option<bool>],
        &column(rows, |row| row.slots.usage.map(Nanocredits::get)) as &[Option<i64>],
        &column(rows, |row| row.slots.ending.map(ending_name)) as &[Option<&str>],
        &column(rows, |row| row.slots.charged.map(Nanocredits::get)) as &[Option<i64>],
        &column(rows, |row| row.slots.has_ended()),
        &column(rows, |row| row.facts.api_key_id) as &[Option<Uuid>],
        &column(rows, |row| row.facts.model_id.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.served_model_id.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.provider.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.upstream.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.request_type.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.streamed) as &[Option<bool>],
        &column(rows, |row| row.facts.price_version) as &[Option<i32>],
        &column(rows, |row| row.facts.tokens.input),
        &column(rows, |row| row.facts.tokens.cached),
        &column(rows, |row| row.facts.tokens.cache_write),
        &column(rows, |row| row.facts.tokens.output),
        &column(rows, |row| row.facts.tokens.reasoning),
        &column(rows, |row| row.facts.tokens.images),
        &column(rows, |row| row.facts.tokens.searches),
        &column(rows, |row| row.facts.cost_usd.get()),
        &column(rows, |row| row.facts.usage_source.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.provider_request_id.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.latency_ms) as &[Option<i64>],
        &column(rows, |row| row.facts.ttft_ms) as &[Option<i64>],
        &column(rows, |row| row.facts.status.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.error_message.as_deref()) as &[Option<&str>],
        &column(rows, |row| row.facts.finished_at) as &[Option<DateTime<Utc>>],
        &column(rows, |row| row.position),
        &column(rows, |row| row.facts.error_code.as_deref()) as &[Option<&str>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Deducted(_) => "deducted",
        Ending::Released => "released",
        Ending::Expired => "expired",
    }
}

/// A deduction's claim is not kept: its amount moves nothing, and that it differs was the ledger's to note.
fn ending_of(name: &str) -> Option<Ending> {
    match name {
        "deducted" => Some(Ending::Deducted(Nanocredits::ZERO)),
        "released" => Some(Ending::Released),
        "expired" => Some(Ending::Expired),
        _ => None,
    }
}
