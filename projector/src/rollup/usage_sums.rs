use schemas::money::{MoneyError, Nanocredits, Picodollars};

use super::{Sums, plus};
use crate::fold::{Request, Tokens};

/// Requests, what they used, and what that came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct UsageSums {
    pub requests: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub tokens: Tokens,
    pub credits_used: Nanocredits,
    pub cost_usd: Picodollars,
}

impl UsageSums {
    /// What one request adds.
    pub(super) fn of(request: &Request) -> Self {
        let status = request.facts.status.as_deref();
        Self {
            requests: 1,
            failed: (status == Some("error")).into(),
            cancelled: (status == Some("cancelled")).into(),
            tokens: request.facts.tokens,
            credits_used: request.charged(),
            cost_usd: request.facts.cost_usd,
        }
    }
}

impl Sums for UsageSums {
    fn plus(self, other: &Self, times: i64) -> Result<Self, MoneyError> {
        let sum = |a: i64, b: i64| plus(a, b, times);
        let (a, b) = (self.tokens, other.tokens);
        Ok(Self {
            requests: sum(self.requests, other.requests)?,
            failed: sum(self.failed, other.failed)?,
            cancelled: sum(self.cancelled, other.cancelled)?,
            tokens: Tokens {
                input: sum(a.input, b.input)?,
                cached: sum(a.cached, b.cached)?,
                cache_write: sum(a.cache_write, b.cache_write)?,
                output: sum(a.output, b.output)?,
                reasoning: sum(a.reasoning, b.reasoning)?,
                images: sum(a.images, b.images)?,
                searches: sum(a.searches, b.searches)?,
            },
            credits_used: Nanocredits::new(sum(self.credits_used.get(), other.credits_used.get())?),
            cost_usd: Picodollars::new(sum(self.cost_usd.get(), other.cost_usd.get())?),
        })
    }
}

/// The statement of a rollup that sums up usage. Sums are the parameters up to `$12`; what names a row follows.
///
/// A late fact can move a request from one row to another. A row that is empty then goes, as if it had never been: a rebuild
/// makes none. It is looked for by `found_by`, the first column of the primary key.
macro_rules! add_usage {
    (
        $connection:expr, $version:expr, $rows:expr, table: $table:literal, unique: $unique:literal, columns: $columns:literal,
        types: $types:literal, [$($value:expr),+ $(,)?], found_by: $found_by:literal, $lead:expr
    ) => {{
        use crate::write::column;
        let rows = $rows;
        sqlx::query!(
            "insert into read_models." + $table + " as d (version, requests, failed, cancelled, input_tokens, cached_tokens,
                cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd, " + $columns + ")
             select $1, c.requests, c.failed, c.cancelled, c.input_tokens, c.cached_tokens, c.cache_write_tokens, c.output_tokens,
                c.reasoning_tokens, c.images, c.credits_used * 0.000000001, c.cost_usd * 0.000000000001, " + $columns + "
             from unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[],
                $11::int8[], $12::int8[], " + $types + ")
                as c(requests, failed, cancelled, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
                    images, credits_used, cost_usd, " + $columns + ")
             on conflict (" + $unique + ", version) do update set
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
            $version,
            &column(rows, |row| row.1.requests),
            &column(rows, |row| row.1.failed),
            &column(rows, |row| row.1.cancelled),
            &column(rows, |row| row.1.tokens.input),
            &column(rows, |row| row.1.tokens.cached),
            &column(rows, |row| row.1.tokens.cache_write),
            &column(rows, |row| row.1.tokens.output),
            &column(rows, |row| row.1.tokens.reasoning),
            &column(rows, |row| row.1.tokens.images),
            &column(rows, |row| row.1.credits_used.get()),
            &column(rows, |row| row.1.cost_usd.get()),
            $($value),+
        )
        .execute(&mut *$connection)
        .await?;
        if rows.iter().any(|row| row.1.requests < 0) {
            sqlx::query!(
                "delete from read_models." + $table + " d where d.version = $1 and d.requests = 0 and " + $found_by,
                $version,
                $lead,
            )
            .execute(&mut *$connection)
            .await?;
        }
        Ok(())
    }};
}
