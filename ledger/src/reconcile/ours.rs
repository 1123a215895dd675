//! Our usages of a range, in the order of the log, as a stream.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::stream::{BoxStream, StreamExt};
use schemas::event::{Event, Payload, UsageRecorded};
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;
use sqlx::PgConnection;

use crate::range::Range;
use crate::settled::{Row, Settled};

/// One usage of ours.
pub(super) struct Ours {
    pub(super) position: u64,
    pub(super) account_id: AccountId,
    pub(super) livemode: bool,
    pub(super) request_id: RequestId,
    pub(super) time: DateTime<Utc>,
    pub(super) data: Box<UsageRecorded>,
    /// What it cost; none while that is not final.
    pub(super) settled: Option<Settled>,
    /// What a true-up gave (or took), and what it left to the platform.
    pub(super) trued_up: Option<(Nanocredits, Nanocredits)>,
}

/// The first usage of each request.
pub(super) fn ours(db: &mut PgConnection, range: Range, account: Option<AccountId>) -> BoxStream<'_, Result<Ours>> {
    sqlx::query!(
        r#"select e.position, e.account_id as "account_id!", a.livemode, e.request_id as "request_id!", e.event,
                  h.hold, h.usage as "worth?", h.charged, h.ending, late.amount as "late?",
                  trued.amount as "trued_amount?", trued.loss as "trued_loss?"
           from ledger.events e
           join ledger.accounts a using (account_id)
           join ledger.holds h using (request_id)
           left join ledger.refs late
               on late.account_id = e.account_id and late.reference = 'late-usage:' || e.request_id
           left join ledger.refs trued
               on trued.account_id = e.account_id and trued.reference = 'reconcile:' || e.request_id
           where e.event_type = 'UsageRecorded' and e.position between $1 and $2
             and ($3::uuid is null or e.account_id = $3)
             and not exists (select from ledger.events earlier where earlier.request_id = e.request_id
                             and earlier.event_type = 'UsageRecorded' and earlier.position < e.position)
           order by e.position"#,
        i64::try_from(range.from).unwrap_or(i64::MAX),
        i64::try_from(range.until).unwrap_or(i64::MAX),
        account.map(|id| id.0)
    )
    .fetch(db)
    .map(|row| {
        let row = row?;
        let position = row.position as u64;
        let event = Event::decode(&row.event).with_context(|| format!("position {position}"))?;
        let Payload::UsageRecorded(data) = event.payload else { bail!("position {position} is no usage") };
        let (hold, worth, charged, late) = (row.hold, row.worth, row.charged, row.late);
        let settled = Settled::of(&Row { hold, worth, charged, ending: row.ending.as_deref(), late })?;
        Ok(Ours {
            position,
            account_id: AccountId(row.account_id),
            livemode: row.livemode,
            request_id: RequestId(row.request_id),
            time: event.header.time,
            data,
            settled,
            trued_up: row.trued_amount.map(Nanocredits::new).zip(row.trued_loss.map(Nanocredits::new)),
        })
    })
    .boxed()
}

/// Of these requests, those that have a usage anywhere in the log.
pub(super) async fn with_usage(db: &mut PgConnection, requests: &[RequestId]) -> Result<Vec<RequestId>> {
    let ids: Vec<_> = requests.iter().map(|id| id.0).collect();
    let rows = sqlx::query_scalar!(
        r#"select distinct request_id as "request_id!" from ledger.events
           where request_id = any($1) and event_type = 'UsageRecorded'"#,
        &ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(RequestId).collect())
}

/// Of these ids of the provider, those that are in a usage anywhere in the log. Looks at every usage.
pub(super) async fn with_provider_id(db: &mut PgConnection, ids: &[String]) -> Result<Vec<String>> {
    let rows = sqlx::query_scalar!(
        r#"select distinct id as "id!" from ledger.events,
                  lateral (select convert_from(event, 'UTF8')::json->'data'->>'provider_request_id' as id) own
           where event_type = 'UsageRecorded' and id = any($1)"#,
        ids
    )
    .fetch_all(db)
    .await?;
    Ok(rows)
}

/// The first and the last day on which something of the range was recorded.
///
/// # Errors
/// When the database fails.
pub async fn days(db: &mut PgConnection, range: Range) -> Result<Option<(NaiveDate, NaiveDate)>> {
    let row = sqlx::query!(
        "select min(recorded_at) as first, max(recorded_at) as last from ledger.events where position between $1 and $2",
        i64::try_from(range.from).unwrap_or(i64::MAX),
        i64::try_from(range.until).unwrap_or(i64::MAX)
    )
    .fetch_one(db)
    .await?;
    Ok(row.first.zip(row.last).map(|(first, last)| (first.date_naive(), last.date_naive())))
}
