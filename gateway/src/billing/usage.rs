//! `GET /v1/usage`: what an account used, by day, model and key, newest first, in pages.
//!
//! All of it is summed up already (`usage_daily`), whatever is kept of the requests themselves.

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, Days, NaiveDate, Utc};
use schemars::JsonSchema;
use schemas::ids::{AccountId, ApiKeyId};
use schemas::money::Nanocredits;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::amount::Amount;
use super::cursor::Cursor;
use super::days::{Asked, Range};
use super::query::asked;
use super::{Billing, billing, credits, told, unreadable};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::position::{At, Reached};
use crate::till::Caller;

/// A year and a day of it.
const LONGEST: u32 = 366;
const USUAL: Days = Days::new(30);
const USUAL_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

/// What is asked for. Days are those of UTC.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The first day; 30 days before `until` where it is not named.
    from: Option<NaiveDate>,
    /// The day after the last one; tomorrow where it is not named.
    until: Option<NaiveDate>,
    /// Some of `day`, `model` and `key`, with commas between them; all of them where it is not named.
    #[schemars(regex(pattern = r"^(day|model|key)(,(day|model|key))*$"))]
    group_by: Option<String>,
    /// Only this model: an id of `GET /v1/models`.
    model: Option<String>,
    /// Only this key, one of the account's own.
    api_key_id: Option<Uuid>,
    /// How many rows: 1 to 1,000.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// The answer holds at least what stands at this position: an `x-layers-position`. It is waited for, for a moment.
    #[allow(dead_code, reason = "`Reached` reads it")]
    min_position: Option<u64>,
}

/// A page, in the shape of OpenAI's lists.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    object: &'static str,
    data: Vec<Entry>,
    has_more: bool,
    /// To be sent as `cursor` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The first day.
    from: NaiveDate,
    /// The day after the last one.
    until: NaiveDate,
    /// The ledger's position up to which this holds.
    position: i64,
    /// When the ledger recorded the event at that position.
    as_of: Option<String>,
}

/// Requests that have ended. What is not grouped by is null.
#[derive(Debug, Serialize, JsonSchema)]
struct Entry {
    /// UTC.
    day: Option<NaiveDate>,
    model: Option<String>,
    /// Null also for what was asked in test mode, without a key.
    api_key_id: Option<ApiKeyId>,
    api_key_name: Option<String>,
    requests: i64,
    /// Those of them with an error.
    failed: i64,
    /// Those of them whose client left.
    cancelled: i64,
    /// Cached ones among them.
    input_tokens: i64,
    cached_tokens: i64,
    cache_write_tokens: i64,
    /// Reasoning among them.
    output_tokens: i64,
    reasoning_tokens: i64,
    images: i64,
    /// Charged, US$.
    cost: Amount,
    /// The same in credits.
    credits: Nanocredits,
}

/// Which members a row is told apart by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct By {
    day: bool,
    model: bool,
    key: bool,
}

struct Question {
    account: AccountId,
    range: Range,
    by: By,
    model: Option<String>,
    key: Option<Uuid>,
    after: Option<Cursor>,
    limit: u32,
}

/// A row with its sums, and how far they reach. Without any row, that alone.
struct Row {
    day: Option<NaiveDate>,
    model: Option<String>,
    key: Option<Uuid>,
    key_name: Option<String>,
    requests: Option<i64>,
    failed: Option<i64>,
    cancelled: Option<i64>,
    input_tokens: Option<i64>,
    cached_tokens: Option<i64>,
    cache_write_tokens: Option<i64>,
    output_tokens: Option<i64>,
    reasoning_tokens: Option<i64>,
    images: Option<i64>,
    credits: Option<String>,
    position: i64,
    as_of: Option<DateTime<Utc>>,
}

impl By {
    fn read(text: Option<&str>) -> Result<Self, Invalid> {
        let Some(text) = text else { return Ok(Self { day: true, model: true, key: true }) };
        let mut by = Self::default();
        for word in text.split(',') {
            match word.trim() {
                "day" => by.day = true,
                "model" => by.model = true,
                "key" => by.key = true,
                _ => {
                    let message = "Invalid value for 'group_by': expected some of day, model and key, with commas \
                                   between them.";
                    return Err(Invalid::new("invalid_value", "group_by", message));
                }
            }
        }
        Ok(by)
    }
}

impl Question {
    fn read(account: AccountId, wanted: &Wanted, today: NaiveDate) -> Result<Self, Invalid> {
        let by = By::read(wanted.group_by.as_deref())?;
        let (from, until) = (("from", wanted.from), ("until", wanted.until));
        let range = Asked { from, until, longest: LONGEST }.range(today, USUAL)?;
        let limit = wanted.limit.unwrap_or(USUAL_PAGE);
        if !(1..=LARGEST_PAGE).contains(&limit) {
            let message = format!("Invalid 'limit': expected 1 to {LARGEST_PAGE}, but got {limit} instead.");
            return Err(Invalid::new("invalid_value", "limit", message));
        }
        if wanted.model.as_deref().is_some_and(|model| model.contains('\0')) {
            return Err(Invalid::new("invalid_value", "model", "Invalid 'model': expected an id of GET /v1/models."));
        }
        let after = wanted.cursor.as_deref().map(Cursor::read).transpose()?;
        Ok(Self { account, range, by, model: wanted.model.clone(), key: wanted.api_key_id, after, limit })
    }

    /// One more than fits on the page: whether there is more.
    fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    fn day_after(&self) -> Option<NaiveDate> {
        self.after.as_ref().map(|after| after.day)
    }

    fn model_after(&self) -> Option<&str> {
        self.after.as_ref().map(|after| after.model.as_str())
    }

    fn key_after(&self) -> Option<Uuid> {
        self.after.as_ref().map(|after| after.key)
    }
}

impl Billing {
    async fn usage(&self, asked: &Question) -> Result<Vec<Row>, sqlx::Error> {
        sqlx::query_as!(
            Row,
            r#"
            select g.day as "day?", g.model as "model?", g.key as "key?", k.name as "key_name?",
                g.requests as "requests?", g.failed as "failed?", g.cancelled as "cancelled?",
                g.input_tokens as "input_tokens?", g.cached_tokens as "cached_tokens?",
                g.cache_write_tokens as "cache_write_tokens?", g.output_tokens as "output_tokens?",
                g.reasoning_tokens as "reasoning_tokens?", g.images as "images?", g.credits::text as "credits?",
                p.position as "position!", p.as_of
            from projection p
            left join lateral (
                select s.* from (
                    select case when $6 then d.day else date '0001-01-01' end as day,
                        case when $7 then d.model_id else '' end as model,
                        case when $11 then coalesce(d.api_key_id, '00000000-0000-0000-0000-000000000000')
                            else '00000000-0000-0000-0000-000000000000' end as key,
                        sum(d.requests)::int8 as requests, sum(d.failed)::int8 as failed, sum(d.cancelled)::int8 as cancelled,
                        sum(d.input_tokens)::int8 as input_tokens, sum(d.cached_tokens)::int8 as cached_tokens,
                        sum(d.cache_write_tokens)::int8 as cache_write_tokens, sum(d.output_tokens)::int8 as output_tokens,
                        sum(d.reasoning_tokens)::int8 as reasoning_tokens, sum(d.images)::int8 as images,
                        sum(d.credits_used) as credits
                    from usage_daily d
                    where d.account_id = $1 and d.day >= $2 and d.day < $3
                        and ($4::text is null or d.model_id = $4) and ($10::uuid is null or d.api_key_id = $10)
                        and (not $6 or $8::date is null or d.day <= $8)
                    group by 1, 2, 3
                ) s
                where $8::date is null or (s.day, s.model, s.key) < ($8, $9::text, $12::uuid)
                order by s.day desc, s.model desc, s.key desc limit $5
            ) g on true
            left join api_keys k on k.id = g.key and k.account_id = $1
            where p.name = 'read_models'
            order by g.day desc, g.model desc, g.key desc
            "#,
            asked.account.0,
            asked.range.from,
            asked.range.until,
            asked.model.as_deref(),
            asked.rows(),
            asked.by.day,
            asked.by.model,
            asked.day_after(),
            asked.model_after(),
            asked.key,
            asked.by.key,
            asked.key_after()
        )
        .fetch_all(&self.pool)
        .await
    }
}

/// `GET /v1/usage`: the account's own.
///
/// # Errors
/// When the query makes no sense, or the database cannot be read.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    _: Reached,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<At<Page>, Error> {
    let question = Question::read(caller.account_id, &asked(query)?, Utc::now().date_naive())?;
    let rows = billing(&edge)?.usage(&question).await;
    let page = page(&question, rows.map_err(unreadable)?)?;
    Ok(At::read(page.position, page))
}

fn page(asked: &Question, mut rows: Vec<Row>) -> Result<Page, Error> {
    let reached = rows.first().ok_or(Error::CannotRead)?;
    let (position, as_of) = (reached.position, reached.as_of.map(told));
    rows.retain(|row| row.requests.is_some());
    let limit = asked.limit as usize;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|row| {
        let (day, key) = (row.day.unwrap_or_default(), row.key.unwrap_or_default());
        Cursor { day, model: row.model.clone().unwrap_or_default(), key }.write()
    });
    let data = rows.into_iter().map(|row| entry(asked.by, row)).collect::<Result<_, _>>()?;
    let Range { from, until } = asked.range;
    Ok(Page { object: "list", data, has_more, next, from, until, position, as_of })
}

fn entry(by: By, row: Row) -> Result<Entry, Error> {
    let count = |count: Option<i64>| count.unwrap_or_default();
    let credits = credits(row.credits.as_deref().unwrap_or("0"))?;
    Ok(Entry {
        day: row.day.filter(|_| by.day),
        model: row.model.filter(|_| by.model),
        api_key_id: row.key.filter(|key| by.key && !key.is_nil()).map(ApiKeyId),
        api_key_name: row.key_name.filter(|_| by.key),
        requests: count(row.requests),
        failed: count(row.failed),
        cancelled: count(row.cancelled),
        input_tokens: count(row.input_tokens),
        cached_tokens: count(row.cached_tokens),
        cache_write_tokens: count(row.cache_write_tokens),
        output_tokens: count(row.output_tokens),
        reasoning_tokens: count(row.reasoning_tokens),
        images: count(row.images),
        cost: Amount::dollars(credits),
        credits,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_by_what_is_named() {
        assert_eq!(By::read(None), Ok(By { day: true, model: true, key: true }));
        assert_eq!(By::read(Some("key, day")), Ok(By { day: true, model: false, key: true }));
        for text in ["", "day,", "hour", "day;model"] {
            assert_eq!(By::read(Some(text)).unwrap_err().param.as_deref(), Some("group_by"), "{text}");
        }
    }

    #[test]
    fn a_year_is_asked_for_at_once() {
        let question = |from: &str, api_key_id: Option<Uuid>| {
            let wanted = Wanted {
                from: Some(from.parse().unwrap()),
                until: None,
                group_by: Some("day,key".to_owned()),
                model: None,
                api_key_id,
                limit: None,
                cursor: None,
                min_position: None,
            };
            Question::read(AccountId(Uuid::nil()), &wanted, "2026-11-25".parse().unwrap()).map(|asked| asked.range)
        };
        assert!(question("2025-11-25", None).is_ok());
        assert!(question("2025-11-25", Some(Uuid::nil())).is_ok());
        assert!(question("2025-11-24", None).is_err());
    }
}
