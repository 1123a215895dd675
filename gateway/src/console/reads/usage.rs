use chrono::NaiveDate;
use schemas::ids::AccountId;
use schemas::money::Nanocredits;

use super::super::query::Range;
use super::{Reads, Refusal, amount};

/// One day's sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct ByDay {
    pub(in super::super) day: NaiveDate,
    pub(in super::super) requests: i64,
    pub(in super::super) failed: i64,
    pub(in super::super) input_tokens: i64,
    pub(in super::super) output_tokens: i64,
    pub(in super::super) credits: Nanocredits,
}

/// The part that one model or key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Share {
    pub(in super::super) name: String,
    pub(in super::super) requests: i64,
    pub(in super::super) tokens: i64,
    pub(in super::super) credits: Nanocredits,
}

impl Reads {
    /// By day, oldest first; days without usage are not among them.
    pub(in super::super) async fn usage_by_day(&self, account: AccountId, range: Range) -> Result<Vec<ByDay>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select d.day as "day!", sum(d.requests)::int8 as "requests!", sum(d.failed)::int8 as "failed!",
                sum(d.input_tokens)::int8 as "input_tokens!", sum(d.output_tokens)::int8 as "output_tokens!",
                sum(d.credits_used)::text as "credits!"
            from usage_daily d where d.account_id = $1 and d.day >= $2 and d.day < $3
            group by d.day order by d.day
            "#,
            account.0,
            range.from,
            range.end()
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.into_iter().map(|row| {
            Ok(ByDay {
                day: row.day,
                requests: row.requests,
                failed: row.failed,
                input_tokens: row.input_tokens,
                output_tokens: row.output_tokens,
                credits: amount(&row.credits)?,
            })
        });
        rows.collect()
    }

    /// By model, the dearest first.
    pub(in super::super) async fn usage_by_model(
        &self,
        account: AccountId,
        range: Range,
    ) -> Result<Vec<Share>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select d.model_id as "name!", sum(d.requests)::int8 as "requests!",
                sum(d.input_tokens + d.output_tokens)::int8 as "tokens!", sum(d.credits_used)::text as "credits!"
            from usage_daily d where d.account_id = $1 and d.day >= $2 and d.day < $3
            group by d.model_id order by sum(d.credits_used) desc, d.model_id limit 100
            "#,
            account.0,
            range.from,
            range.end()
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| share(row.name, row.requests, row.tokens, &row.credits)).collect()
    }

    /// By key, the dearest first.
    pub(in super::super) async fn usage_by_key(&self, account: AccountId, range: Range) -> Result<Vec<Share>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select coalesce(k.name || ' (' || k.key_prefix || '…)', 'without a key') as "name!", u.requests as "requests!",
                u.tokens as "tokens!", u.credits::text as "credits!"
            from (
                select d.api_key_id, sum(d.requests)::int8 as requests,
                    sum(d.input_tokens + d.output_tokens)::int8 as tokens, sum(d.credits_used) as credits
                from usage_daily d where d.account_id = $1 and d.day >= $2 and d.day < $3
                group by d.api_key_id
            ) u
            left join api_keys k on k.id = u.api_key_id and k.account_id = $1
            order by u.credits desc, k.name limit 100
            "#,
            account.0,
            range.from,
            range.end()
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| share(row.name, row.requests, row.tokens, &row.credits)).collect()
    }
}

fn share(name: String, requests: i64, tokens: i64, credits: &str) -> Result<Share, Refusal> {
    Ok(Share { name, requests, tokens, credits: amount(credits)? })
}
