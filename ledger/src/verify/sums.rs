//! Sums over requests: their rows are added up again, in SQL. The rows themselves are compared one by one elsewhere; of months that
//! were retired there are none, and the sums of those months are not looked at.

use anyhow::Result;
use sqlx::PgConnection;

use super::report::Report;
use super::requests::Models;

/// A row of sums that is not what its requests add up to. It comes twice: as it is, and as it should be.
struct Unequal {
    what: String,
}

/// What is compared of a rollup: the columns of its name and what it counts, from its table, and from what it sums up. Each statement
/// has three parameters: the version, and from when on requests and hours are kept.
macro_rules! unequal {
    ($db:expr, $models:expr, $name:literal, $columns:literal, $table:literal, $source:literal) => {
        sqlx::query_as!(
            Unequal,
            r#"with stored as (select "# + $columns + r#" from read_models."# + $table + r#"),
                should as (select "# + $source + r#")
               select distinct "# + $name + r#" as "what!" from (
                   (select * from stored except select * from should) union all (select * from should except select * from stored)
               ) u order by 1 limit 1000"#,
            $models.version,
            $models.kept.requests,
            $models.kept.hours,
        )
        .fetch_all(&mut *$db)
        .await?
    };
}

/// Compares all rollups, unless an older projector has moved the checkpoint: nobody sees them then.
pub(super) async fn compare(db: &mut PgConnection, models: Models, report: &mut Report) -> Result<()> {
    if !models.rolled_up {
        return Ok(());
    }
    let days = unequal!(
        db, models,
        "u.account_id || ' on ' || u.day || ' for ' || u.model_id",
        "account_id, day, api_key_id, model_id, provider, livemode, requests, failed, cancelled, input_tokens, cached_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd",
        "usage_by_day where version = $1 and day >= ($2::timestamptz at time zone 'UTC')::date and $3::timestamptz is not null",
        "account_id, (created_at at time zone 'UTC')::date, coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(model_id, ''), coalesce(provider, ''), livemode, count(*), count(*) filter (where status = 'error'),
            count(*) filter (where status = 'cancelled'), sum(input_tokens), sum(cached_tokens), sum(cache_write_tokens),
            sum(output_tokens), sum(reasoning_tokens), sum(images), sum(coalesce(charged_credits, 0)), sum(cost_usd)
         from read_models.requests where version = $1 and ended group by 1, 2, 3, 4, 5, 6"
    );
    let hours = unequal!(
        db, models,
        "u.account_id || ' at ' || u.hour || ' for ' || u.model_id",
        "account_id, hour, api_key_id, model_id, provider, livemode, requests, failed, cancelled, input_tokens, cached_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd",
        "usage_hourly where version = $1 and hour >= greatest($2::timestamptz, $3::timestamptz)",
        "account_id, date_trunc('hour', created_at at time zone 'UTC') at time zone 'UTC',
            coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'), coalesce(model_id, ''), coalesce(provider, ''), livemode,
            count(*), count(*) filter (where status = 'error'), count(*) filter (where status = 'cancelled'), sum(input_tokens),
            sum(cached_tokens), sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), sum(images),
            sum(coalesce(charged_credits, 0)), sum(cost_usd)
         from read_models.requests where version = $1 and ended and created_at >= $3 group by 1, 2, 3, 4, 5, 6"
    );
    let months = unequal!(
        db, models,
        "u.account_id || ' in ' || u.month || ' for ' || u.model_id",
        "account_id, month, model_id, provider, livemode, requests, failed, cancelled, input_tokens, cached_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd",
        "usage_monthly where version = $1 and $2::timestamptz is not null and $3::timestamptz is not null",
        "account_id, date_trunc('month', day::timestamp)::date, model_id, provider, livemode, sum(requests), sum(failed),
            sum(cancelled), sum(input_tokens), sum(cached_tokens), sum(cache_write_tokens), sum(output_tokens),
            sum(reasoning_tokens), sum(images), sum(credits_used), sum(cost_usd)
         from read_models.usage_by_day where version = $1 group by 1, 2, 3, 4, 5"
    );
    let models_by_day = unequal!(
        db, models,
        "u.model_id || ' on ' || u.day",
        "day, model_id, provider, livemode, requests, failed, cancelled, input_tokens, cached_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd",
        "model_daily where version = $1 and $2::timestamptz is not null and $3::timestamptz is not null",
        "day, model_id, provider, livemode, sum(requests), sum(failed), sum(cancelled), sum(input_tokens), sum(cached_tokens),
            sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens), sum(images), sum(credits_used), sum(cost_usd)
         from read_models.usage_by_day where version = $1 group by 1, 2, 3, 4"
    );
    let latencies = unequal!(
        db, models,
        "u.measure || ' of ' || u.model_id || ' on ' || u.day",
        "day, measure, model_id, provider, livemode, from_ms, below_ms, requests",
        "latency_daily where version = $1 and day >= ($2::timestamptz at time zone 'UTC')::date and $3::timestamptz is not null",
        "(r.created_at at time zone 'UTC')::date, m.measure, coalesce(r.model_id, ''), coalesce(r.provider, ''), r.livemode,
            (m.ms >> s.shift) << s.shift, ((m.ms >> s.shift) << s.shift) + (1::bigint << s.shift), count(*)
         from read_models.requests r
         cross join lateral (values ('latency', r.latency_ms), ('ttft', r.ttft_ms)) as m(measure, ms)
         cross join lateral projector.latency_shift(m.ms) as s(shift)
         where r.version = $1 and r.ended and r.status = 'success' and m.ms is not null group by 1, 2, 3, 4, 5, 6, 7"
    );
    for (table, rows) in [
        ("usage_daily", days),
        ("usage_hourly", hours),
        ("usage_monthly", months),
        ("model_daily", models_by_day),
        ("latency_daily", latencies),
    ] {
        for row in rows {
            report.differs(None, table, format!("{} is not what its requests add up to", row.what));
        }
    }
    Ok(())
}
