//! What the platform bears: what providers billed beyond a hold, and late usages and corrections that their account could
//! not pay.

use anyhow::Result;
use schemas::money::Nanocredits;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// One request's loss.
#[derive(Debug, Serialize)]
pub struct Loss {
    /// Position of the event that brought it.
    pub position: i64,
    /// Which request.
    pub request_id: Option<Uuid>,
    /// Whose.
    pub account_id: Uuid,
    /// Real money.
    pub livemode: bool,
    /// Borne by the platform, credits.
    pub lost: Nanocredits,
    /// Where it comes from.
    pub cause: String,
}

/// All losses in the order of the log.
pub async fn losses(db: &mut PgConnection) -> Result<Vec<Loss>> {
    let rows = sqlx::query!(
        r#"select e.position as "position!", h.request_id as "request_id?", h.account_id as "account_id!", a.livemode as "livemode!",
                  (h.usage - h.charged) as "lost!", 'beyond_hold' as "cause!"
           from ledger.holds h
           join ledger.accounts a using (account_id)
           join lateral (select min(position) as position from ledger.events
                         where request_id = h.request_id and event_type = 'UsageRecorded') e on true
           where h.usage > h.charged
           union all
           select r.position, e.request_id, r.account_id, a.livemode, r.loss,
                  case split_part(r.reference, ':', 1) when 'late-usage' then 'late_usage' when 'rerate' then 'rerate'
                       when 'reconcile' then 'reconcile' else 'adjustment' end
           from ledger.refs r
           join ledger.accounts a using (account_id)
           join ledger.events e on e.position = r.position
           where r.loss > 0
           order by 1"#
    )
    .fetch_all(db)
    .await?;
    let loss = rows.into_iter().map(|row| Loss {
        position: row.position,
        request_id: row.request_id,
        account_id: row.account_id,
        livemode: row.livemode,
        lost: Nanocredits::new(row.lost),
        cause: row.cause,
    });
    Ok(loss.collect())
}
