//! The usages of a range, account by account, as a stream: memory does not grow with the log.

use anyhow::{Context, Result, bail};
use futures_util::stream::{BoxStream, StreamExt};
use schemas::event::{Event, Payload};
use schemas::ids::AccountId;
use sqlx::PgConnection;

use super::charge::{Authorized, Used};
use crate::range::Range;
use crate::settled::{Row, Settled};

/// A usage with its account.
pub(super) struct Found {
    pub(super) position: u64,
    pub(super) account: (AccountId, bool),
    pub(super) model: String,
    /// `None` while the charge is not final.
    pub(super) used: Option<Used>,
}

/// The first usage of each request of the range, by account.
pub(super) fn usages(db: &mut PgConnection, range: Range, account: Option<AccountId>) -> BoxStream<'_, Result<Found>> {
    sqlx::query!(
        r#"select e.position, e.account_id as "account_id!", a.livemode, e.event, authorized.event as "authorization?",
                  h.hold, h.usage as "worth?", h.charged, h.ending, late.amount as "late?"
           from ledger.events e
           join ledger.accounts a using (account_id)
           join ledger.holds h using (request_id)
           left join ledger.refs late
               on late.account_id = e.account_id and late.reference = 'late-usage:' || e.request_id
           left join lateral (
               select event from ledger.events
               where request_id = e.request_id and event_type = 'RequestAuthorized' order by position limit 1
           ) authorized on true
           where e.event_type = 'UsageRecorded' and e.position between $1 and $2
             and ($3::uuid is null or e.account_id = $3)
             and not exists (select from ledger.events earlier where earlier.request_id = e.request_id
                             and earlier.event_type = 'UsageRecorded' and earlier.position < e.position)
           order by e.account_id, e.position"#,
        i64::try_from(range.from).unwrap_or(i64::MAX),
        i64::try_from(range.until).unwrap_or(i64::MAX),
        account.map(|id| id.0)
    )
    .fetch(db)
    .map(|row| {
        let row = row?;
        let position = row.position as u64;
        let at = || format!("position {position}");
        let Payload::UsageRecorded(data) = Event::decode(&row.event).with_context(at)?.payload else {
            bail!("position {position} is no usage");
        };
        let authorized = match row.authorization.as_deref().map(Event::decode).transpose().with_context(at)? {
            Some(Event { payload: Payload::RequestAuthorized(data), .. }) => {
                let models = std::iter::once(data.model).chain(data.fallbacks).collect();
                Some(Authorized { models, bounds: data.bounds, price_version: data.price_version })
            }
            _ => None,
        };
        let (hold, worth, charged, late) = (row.hold, row.worth, row.charged, row.late);
        let settled = Settled::of(&Row { hold, worth, charged, ending: row.ending.as_deref(), late })?;
        let model = data.model.clone();
        let used = settled.map(|settled| Used { model: data.model, usage: data.usage, settled, authorized });
        Ok(Found { position, account: (AccountId(row.account_id), row.livemode), model, used })
    })
    .boxed()
}

/// How many requests of the range have a charge that is not final.
pub(super) async fn open(db: &mut PgConnection, range: Range, account: Option<AccountId>) -> Result<i64> {
    let open = sqlx::query_scalar!(
        r#"select count(*) as "count!" from ledger.events e join ledger.holds h using (request_id)
           where e.event_type = 'UsageRecorded' and e.position between $1 and $2
             and ($3::uuid is null or e.account_id = $3)
             and h.charged is null and coalesce(h.ending, 'deducted') = 'deducted'"#,
        i64::try_from(range.from).unwrap_or(i64::MAX),
        i64::try_from(range.until).unwrap_or(i64::MAX),
        account.map(|id| id.0)
    )
    .fetch_one(db)
    .await?;
    Ok(open)
}
