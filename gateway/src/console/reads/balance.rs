use chrono::{DateTime, Utc};
use schemas::ids::AccountId;
use schemas::money::Nanocredits;

use super::{Reads, Refusal, amount};

/// What an account has.
pub(in super::super) struct Balance {
    pub(in super::super) balance: Nanocredits,
    pub(in super::super) held: Nanocredits,
    pub(in super::super) available: Nanocredits,
    pub(in super::super) bought: Nanocredits,
    pub(in super::super) charged: Nanocredits,
    pub(in super::super) tier: String,
    pub(in super::super) livemode: bool,
    pub(in super::super) position: i64,
    pub(in super::super) as_of: Option<DateTime<Utc>>,
}

impl Reads {
    /// An account's credits. An account that the read models do not know is none.
    pub(in super::super) async fn balance(&self, account: AccountId) -> Result<Balance, Refusal> {
        let row = sqlx::query!(
            r#"
            select b.balance::text as "balance!", b.held::text as "held!", b.available::text as "available!",
                b.bought::text as "bought!", b.charged::text as "charged!", b.tier as "tier!", b.livemode as "livemode!",
                p.position as "position!", p.as_of
            from credit_balances b cross join projection p
            where b.account_id = $1 and p.name = 'read_models'
            "#,
            account.0
        )
        .fetch_optional(&self.pool)
        .await?;
        let row = row.ok_or(Refusal::NotFound)?;
        Ok(Balance {
            balance: amount(&row.balance)?,
            held: amount(&row.held)?,
            available: amount(&row.available)?,
            bought: amount(&row.bought)?,
            charged: amount(&row.charged)?,
            tier: row.tier,
            livemode: row.livemode,
            position: row.position,
            as_of: row.as_of,
        })
    }
}
