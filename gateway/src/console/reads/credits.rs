use chrono::{DateTime, Utc};
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use uuid::Uuid;

use super::{ROWS, Reads, Refusal, amount};

/// Credits that were added, given or taken.
pub(in super::super) struct Movement {
    pub(in super::super) position: i64,
    pub(in super::super) request_id: Option<Uuid>,
    pub(in super::super) kind: String,
    pub(in super::super) amount: Nanocredits,
    pub(in super::super) reference: String,
    pub(in super::super) reason: String,
    pub(in super::super) created_at: DateTime<Utc>,
}

impl Reads {
    /// A page of an account's top-ups and adjustments, newest first, from below a position on.
    pub(in super::super) async fn movements(
        &self,
        account: AccountId,
        below: Option<i64>,
    ) -> Result<Vec<Movement>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select t.position as "position!", t.request_id, t.kind as "kind!", t.amount::text as "amount!",
                t.reference as "reference!", t.reason as "reason!", t.created_at as "created_at!"
            from credit_transactions t where t.account_id = $1 and t.position < $2
            order by t.position desc limit $3
            "#,
            account.0,
            below.unwrap_or(i64::MAX),
            ROWS
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.into_iter().map(|row| {
            Ok(Movement {
                position: row.position,
                request_id: row.request_id,
                kind: row.kind,
                amount: amount(&row.amount)?,
                reference: row.reference,
                reason: row.reason,
                created_at: row.created_at,
            })
        });
        rows.collect()
    }
}
