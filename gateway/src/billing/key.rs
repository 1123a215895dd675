use axum::Extension;
use axum::extract::State;
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use schemas::ids::{AccountId, ApiKeyId};
use schemas::key_limits::Period;
use schemas::money::Nanocredits;
use schemas::tier::Tier;
use serde::Serialize;

use super::amount::Amount;
use super::{Billing, billing, credits, told, unreadable};
use crate::edge::Edge;
use crate::error::Error;
use crate::position::{At, Reached};
use crate::till::Caller;

/// OpenRouter's envelope.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    data: Key,
}

/// The key that asks. Amounts are US$ as numbers; those named `…_credits` are credits as decimal strings.
#[derive(Debug, Serialize, JsonSchema)]
struct Key {
    /// The secret's first characters.
    label: String,
    /// What its owner calls it.
    name: Option<String>,
    /// Its id; absent in test mode without a key.
    id: Option<ApiKeyId>,
    account_id: AccountId,
    livemode: bool,
    tier: Tier,
    created_at: Option<String>,
    expires_at: Option<String>,
    /// The models that it may ask; null: every model.
    models: Option<Vec<String>>,
    /// Its cap in each period; null: what its account has.
    limit: Option<Amount>,
    limit_credits: Option<Nanocredits>,
    /// Of the cap, neither charged nor set aside for requests that run: by the ledger's word.
    limit_remaining: Option<Amount>,
    limit_remaining_credits: Option<Nanocredits>,
    /// `daily` or `monthly`, at midnight UTC; null: never.
    limit_reset: Option<&'static str>,
    limit_resets_at: Option<String>,
    /// Charged since it was issued. As of `as_of`, as the next three.
    usage: Amount,
    usage_credits: Nanocredits,
    /// Of this day, UTC.
    usage_daily: Amount,
    /// Of this week, from Monday, UTC.
    usage_weekly: Amount,
    /// Of this month, UTC.
    usage_monthly: Amount,
    byok_usage: u8,
    byok_usage_daily: u8,
    byok_usage_weekly: u8,
    byok_usage_monthly: u8,
    include_byok_in_limit: bool,
    is_free_tier: bool,
    is_management_key: bool,
    is_provisioning_key: bool,
    rate_limit: RateLimit,
    /// The ledger's position up to which the usage holds.
    position: i64,
    /// When the ledger recorded the event at that position.
    as_of: Option<String>,
}

/// The account's, for all of its keys together.
#[derive(Debug, Serialize, JsonSchema)]
struct RateLimit {
    requests: u32,
    interval: &'static str,
}

struct Row {
    name: Option<String>,
    key_prefix: Option<String>,
    expires_at: Option<DateTime<Utc>>,
    created_at: Option<DateTime<Utc>>,
    held: Option<i64>,
    charged: Option<i64>,
    all_time: String,
    day: String,
    week: String,
    month: String,
    position: i64,
    as_of: Option<DateTime<Utc>>,
}

/// The beginnings of what usage is told for.
struct Since {
    day: NaiveDate,
    week: NaiveDate,
    month: NaiveDate,
}

impl Since {
    fn of(now: DateTime<Utc>) -> Self {
        let today = now.date_naive();
        let monday = today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into()));
        Self { day: today, week: monday.unwrap_or(today), month: today.with_day(1).unwrap_or(today) }
    }
}

impl Billing {
    async fn key(
        &self,
        account: AccountId,
        key: Option<ApiKeyId>,
        period: NaiveDate,
        since: &Since,
    ) -> Result<Option<Row>, sqlx::Error> {
        sqlx::query_as!(
            Row,
            r#"
            select k.name as "name?", k.key_prefix as "key_prefix?", k.expires_at as "expires_at?",
                k.created_at as "created_at?", k.held as "held?", k.charged as "charged?",
                u.all_time as "all_time!", u.day as "day!", u.week as "week!", u.month as "month!",
                p.position as "position!", p.as_of
            from projection p
            left join ledger.key_of_account($1, $2, $3) k on true
            cross join lateral (
                select coalesce(sum(d.credits_used), 0)::text as all_time,
                    coalesce(sum(d.credits_used) filter (where d.day >= $4), 0)::text as day,
                    coalesce(sum(d.credits_used) filter (where d.day >= $5), 0)::text as week,
                    coalesce(sum(d.credits_used) filter (where d.day >= $6), 0)::text as month
                from usage_daily d
                where d.account_id = $1 and d.api_key_id is not distinct from $2
            ) u
            where p.name = 'read_models'
            "#,
            account.0,
            key.map(|key| key.0),
            period,
            since.day,
            since.week,
            since.month
        )
        .fetch_optional(&self.pool)
        .await
    }
}

/// `GET /v1/key`: the key that asks, and nothing of any other.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    _: Reached,
) -> Result<At<Shown>, Error> {
    let now = Utc::now();
    let cap = caller.restrictions.cap;
    let period = cap.map_or(Period::Total, |cap| cap.period);
    let (from, since) = (period.from(now), Since::of(now));
    let row = billing(&edge)?.key(caller.account_id, caller.api_key_id, from, &since).await.map_err(unreadable)?;
    let row = row.ok_or(Error::CannotRead)?;
    let spent = |amount: Option<i64>| Nanocredits::new(amount.unwrap_or_default());
    let left = cap.map(|cap| cap.credits.minus_or_zero(spent(row.charged)).minus_or_zero(spent(row.held)));
    let used = credits(&row.all_time)?;
    let shown = Shown {
        data: Key {
            label: row.key_prefix.map_or_else(|| "test mode".to_owned(), |prefix| format!("{prefix}...")),
            name: row.name,
            id: caller.api_key_id,
            account_id: caller.account_id,
            livemode: caller.livemode,
            tier: caller.tier,
            created_at: row.created_at.map(told),
            expires_at: row.expires_at.map(told),
            models: caller.restrictions.models.clone(),
            limit: cap.map(|cap| Amount::dollars(cap.credits)),
            limit_credits: cap.map(|cap| cap.credits),
            limit_remaining: left.map(Amount::dollars),
            limit_remaining_credits: left,
            limit_reset: cap.and_then(|cap| match cap.period {
                Period::Day => Some("daily"),
                Period::Month => Some("monthly"),
                Period::Total => None,
            }),
            limit_resets_at: cap.and_then(|cap| cap.period.until(from)).map(told),
            usage: Amount::dollars(used),
            usage_credits: used,
            usage_daily: Amount::dollars(credits(&row.day)?),
            usage_weekly: Amount::dollars(credits(&row.week)?),
            usage_monthly: Amount::dollars(credits(&row.month)?),
            byok_usage: 0,
            byok_usage_daily: 0,
            byok_usage_weekly: 0,
            byok_usage_monthly: 0,
            include_byok_in_limit: false,
            is_free_tier: caller.tier == Tier::Free,
            is_management_key: false,
            is_provisioning_key: false,
            rate_limit: RateLimit { requests: caller.tier.requests_per_minute(), interval: "1m" },
            position: row.position,
            as_of: row.as_of.map(told),
        },
    };
    Ok(At::read(row.position, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        let since = Since::of("2026-11-01T23:59:59Z".parse().unwrap());
        let told = [since.day, since.week, since.month].map(|day| day.to_string());
        assert_eq!(told, ["2026-11-01", "2026-10-26", "2026-11-01"]);
    }
}
