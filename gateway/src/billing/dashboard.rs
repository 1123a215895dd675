//! `GET /v1/dashboard/billing/subscription` and `/usage`: what OpenAI's old dashboard asked for, and chat front-ends ask for to
//! this day, to show what is left: the limit less the usage since the month began.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use schemas::tier::Tier;
use serde::{Deserialize, Serialize};

use super::amount::Amount;
use super::days::{Asked, Range, timestamp};
use super::query::asked;
use super::{Billing, billing, credits, told, unreadable};
use crate::edge::Edge;
use crate::error::Error;
use crate::position::{At, Reached};
use crate::till::Caller;

const LONGEST: u32 = 366;

/// Which days, UTC.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The first day; the first of this month where it is not named.
    start_date: Option<NaiveDate>,
    /// The day after the last one; tomorrow where it is not named.
    end_date: Option<NaiveDate>,
    /// The answer holds at least what stands at this position: an `x-layers-position`. It is waited for, for a moment.
    #[allow(dead_code, reason = "`Reached` reads it")]
    min_position: Option<u64>,
}

/// What can be spent this month, in the words of OpenAI's subscriptions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subscription {
    object: &'static str,
    has_payment_method: bool,
    canceled: bool,
    canceled_at: Option<i64>,
    delinquent: Option<bool>,
    /// Prepaid credits do not end.
    access_until: i64,
    soft_limit_usd: Amount,
    /// What there is, and what was charged since the month began, US$.
    hard_limit_usd: Amount,
    system_hard_limit_usd: Amount,
    /// What there is: bought and not charged, US$.
    balance_usd: Amount,
    /// The same in credits.
    balance_credits: Nanocredits,
    plan: Plan,
    account_name: Option<String>,
    /// The ledger's position up to which this holds.
    position: i64,
    /// When the ledger recorded the event at that position.
    as_of: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Plan {
    title: String,
    id: Tier,
}

/// What was charged, by day and model, in US cents, which credits are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Usage {
    object: &'static str,
    /// Each day of the range up to today.
    daily_costs: Vec<Day>,
    /// US cents.
    total_usage: Amount,
    /// The same in credits.
    total_credits: Nanocredits,
    /// The ledger's position up to which this holds.
    position: i64,
    /// When the ledger recorded the event at that position.
    as_of: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Day {
    /// Seconds since 1970, at midnight UTC.
    timestamp: i64,
    line_items: Vec<Item>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Item {
    /// A model's id.
    name: String,
    /// US cents.
    cost: Amount,
}

struct Standing {
    balance: String,
    this_month: String,
    position: i64,
    as_of: Option<DateTime<Utc>>,
}

struct Charged {
    day: Option<NaiveDate>,
    model: Option<String>,
    credits: Option<String>,
    position: i64,
    as_of: Option<DateTime<Utc>>,
}

impl Billing {
    async fn standing(&self, account: AccountId, month: NaiveDate) -> Result<Option<Standing>, sqlx::Error> {
        sqlx::query_as!(
            Standing,
            r#"
            select b.balance::text as "balance!", u.charged::text as "this_month!", p.position as "position!", p.as_of
            from projection p
            join credit_balances b on b.account_id = $1
            cross join lateral (
                select coalesce(sum(d.credits_used), 0) as charged from usage_daily d
                where d.account_id = $1 and d.day >= $2
            ) u
            where p.name = 'read_models'
            "#,
            account.0,
            month
        )
        .fetch_optional(&self.pool)
        .await
    }

    async fn charged(&self, account: AccountId, range: Range) -> Result<Vec<Charged>, sqlx::Error> {
        sqlx::query_as!(
            Charged,
            r#"
            select g.day as "day?", g.model_id as "model?", g.credits::text as "credits?", p.position as "position!", p.as_of
            from projection p
            left join lateral (
                select d.day, d.model_id, sum(d.credits_used) as credits from usage_daily d
                where d.account_id = $1 and d.day >= $2 and d.day < $3
                group by d.day, d.model_id
            ) g on true
            where p.name = 'read_models'
            order by g.day, g.model_id
            "#,
            account.0,
            range.from,
            range.until
        )
        .fetch_all(&self.pool)
        .await
    }
}

fn first_of_month(today: NaiveDate) -> NaiveDate {
    today.with_day(1).unwrap_or(today)
}

/// `GET /v1/dashboard/billing/subscription`: the account's own.
///
/// # Errors
/// When the read model cannot be read, or does not know the account yet.
pub(crate) async fn subscription(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    _: Reached,
) -> Result<At<Subscription>, Error> {
    let month = first_of_month(Utc::now().date_naive());
    let standing = billing(&edge)?.standing(caller.account_id, month).await.map_err(unreadable)?;
    let standing = standing.ok_or(Error::NotYetProjected)?;
    let balance = credits(&standing.balance)?;
    let limit = balance.plus(credits(&standing.this_month)?).map_err(|_| Error::Internal)?;
    let limit = Amount::dollars(limit);
    let subscription = Subscription {
        object: "billing_subscription",
        has_payment_method: true,
        canceled: false,
        canceled_at: None,
        delinquent: None,
        access_until: timestamp(NaiveDate::from_ymd_opt(2100, 1, 1).unwrap_or_default()),
        soft_limit_usd: limit.clone(),
        hard_limit_usd: limit.clone(),
        system_hard_limit_usd: limit,
        balance_usd: Amount::dollars(balance),
        balance_credits: balance,
        plan: Plan { title: format!("Prepaid credits ({})", caller.tier), id: caller.tier },
        account_name: None,
        position: standing.position,
        as_of: standing.as_of.map(told),
    };
    Ok(At::read(standing.position, subscription))
}

/// `GET /v1/dashboard/billing/usage?start_date=&end_date=`: the account's own.
///
/// # Errors
/// When the days make no range, or the database cannot be read.
pub(crate) async fn usage(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    _: Reached,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<At<Usage>, Error> {
    let wanted = asked(query)?;
    let today = Utc::now().date_naive();
    let since_the_first = Days::new((today.day0() + 1).into());
    let days =
        Asked { from: ("start_date", wanted.start_date), until: ("end_date", wanted.end_date), longest: LONGEST };
    let range = days.range(today, since_the_first)?;
    let rows = billing(&edge)?.charged(caller.account_id, range).await.map_err(unreadable)?;
    let usage = told_by_day(range, today, rows)?;
    Ok(At::read(usage.position, usage))
}

fn told_by_day(range: Range, today: NaiveDate, rows: Vec<Charged>) -> Result<Usage, Error> {
    let reached = rows.first().ok_or(Error::CannotRead)?;
    let (position, as_of) = (reached.position, reached.as_of.map(told));
    let mut total = Nanocredits::ZERO;
    let mut rows = rows.into_iter().peekable();
    let mut daily_costs = Vec::new();
    for day in range.days().take_while(|day| *day <= today) {
        let mut line_items = Vec::new();
        while let Some(row) = rows.next_if(|row| row.day == Some(day)) {
            let cost = credits(row.credits.as_deref().unwrap_or("0"))?;
            total = total.plus(cost).map_err(|_| Error::Internal)?;
            line_items.push(Item { name: row.model.unwrap_or_default(), cost: Amount::cents(cost) });
        }
        daily_costs.push(Day { timestamp: timestamp(day), line_items });
    }
    let total_usage = Amount::cents(total);
    Ok(Usage { object: "list", daily_costs, total_usage, total_credits: total, position, as_of })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_told_and_the_sum_is_exact() {
        let row = |day: &str, model: &str, credits: &str| Charged {
            day: Some(day.parse().unwrap()),
            model: Some(model.to_owned()),
            credits: Some(credits.to_owned()),
            position: 7,
            as_of: None,
        };
        let range = Range { from: "2026-11-22".parse().unwrap(), until: "2026-12-01".parse().unwrap() };
        let today = "2026-11-24".parse().unwrap();
        let rows = vec![
            row("2026-11-22", "a/x", "0.100000000"),
            row("2026-11-22", "b/y", "0.200000000"),
            row("2026-11-24", "a/x", "3.360000001"),
        ];
        let usage = told_by_day(range, today, rows).unwrap();
        let items: Vec<_> = usage.daily_costs.iter().map(|day| day.line_items.len()).collect();
        assert_eq!(items, [2, 0, 1]);
        let written = serde_json::to_string(&usage).unwrap();
        assert!(written.contains(r#""total_usage":3.660000001,"total_credits":"3.660000001""#), "{written}");
        assert!(written.contains(r#""timestamp":1795305600"#), "{written}");
    }
}
