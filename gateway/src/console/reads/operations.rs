use chrono::{DateTime, Utc};
use schemas::money::{Nanocredits, decimal};
use uuid::Uuid;

use super::{Reads, Refusal};

/// What an operator looks after.
pub(in super::super) struct Operations {
    /// The log's end.
    pub(in super::super) position: i64,
    /// When it was written.
    pub(in super::super) recorded_at: Option<DateTime<Utc>>,
    /// How far the read models have read.
    pub(in super::super) projected: i64,
    /// When what they read last was written.
    pub(in super::super) projected_at: Option<DateTime<Utc>>,
    pub(in super::super) lives: Vec<Life>,
    pub(in super::super) holds: Vec<Holds>,
    pub(in super::super) losses: Vec<Loss>,
    pub(in super::super) quarantine: Vec<Quarantined>,
}

/// A life of a gateway that is not over.
pub(in super::super) struct Life {
    pub(in super::super) gateway: Uuid,
    pub(in super::super) state: String,
    pub(in super::super) registered_at: DateTime<Utc>,
    pub(in super::super) accounts: i64,
    pub(in super::super) leased: Nanocredits,
    pub(in super::super) held: Nanocredits,
}

/// Open holds of an age.
pub(in super::super) struct Holds {
    /// Seconds; `None` for the oldest.
    pub(in super::super) up_to: Option<i32>,
    pub(in super::super) holds: i64,
    pub(in super::super) amount: Nanocredits,
}

/// What the platform bore for an account.
pub(in super::super) struct Loss {
    pub(in super::super) account_id: Uuid,
    pub(in super::super) livemode: bool,
    pub(in super::super) lost: Nanocredits,
    /// Of all accounts of its kind, credits.
    pub(in super::super) in_all: String,
}

/// Messages in quarantine for one reason.
pub(in super::super) struct Quarantined {
    pub(in super::super) reason: String,
    pub(in super::super) entries: i64,
    pub(in super::super) first_id: i64,
    pub(in super::super) first_at: DateTime<Utc>,
    pub(in super::super) last_at: DateTime<Utc>,
}

impl Reads {
    /// All of it; each figure as it is when it is read.
    pub(in super::super) async fn operations(&self) -> Result<Operations, Refusal> {
        let ends = sqlx::query!(
            r#"
            select l.position as "position!", l.recorded_at, p.position as "projected!", p.as_of
            from ledger.end_of_log() l cross join projection p where p.name = 'read_models'
            "#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Operations {
            position: ends.position,
            recorded_at: ends.recorded_at,
            projected: ends.projected,
            projected_at: ends.as_of,
            lives: self.lives().await?,
            holds: self.holds().await?,
            losses: self.losses().await?,
            quarantine: self.quarantine().await?,
        })
    }

    async fn lives(&self) -> Result<Vec<Life>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select gateway as "gateway!", state as "state!", registered_at as "registered_at!", accounts as "accounts!",
                leased as "leased!", held as "held!"
            from ledger.open_lives()
            "#
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.into_iter().map(|row| Life {
            gateway: row.gateway,
            state: row.state,
            registered_at: row.registered_at,
            accounts: row.accounts,
            leased: Nanocredits::new(row.leased),
            held: Nanocredits::new(row.held),
        });
        Ok(rows.collect())
    }

    async fn holds(&self) -> Result<Vec<Holds>, Refusal> {
        let rows = sqlx::query!(
            r#"select up_to_seconds as up_to, holds as "holds!", amount as "amount!" from ledger.open_holds_by_age()"#
        )
        .fetch_all(&self.pool)
        .await?;
        let holds = rows.into_iter();
        Ok(holds
            .map(|row| Holds { up_to: row.up_to, holds: row.holds, amount: Nanocredits::new(row.amount) })
            .collect())
    }

    async fn losses(&self) -> Result<Vec<Loss>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select account_id as "account_id!", livemode as "livemode!", lost as "lost!", in_all::text as "in_all!"
            from ledger.losses(20)
            "#
        )
        .fetch_all(&self.pool)
        .await?;
        let rows = rows.into_iter().map(|row| Loss {
            account_id: row.account_id,
            livemode: row.livemode,
            lost: Nanocredits::new(row.lost),
            // A sum over accounts may be larger than any amount.
            in_all: decimal(row.in_all.parse().unwrap_or_default(), 9),
        });
        Ok(rows.collect())
    }

    async fn quarantine(&self) -> Result<Vec<Quarantined>, Refusal> {
        let rows = sqlx::query_as!(
            Quarantined,
            r#"
            select reason as "reason!", entries as "entries!", first_id as "first_id!", first_at as "first_at!",
                last_at as "last_at!"
            from ledger.open_quarantine()
            "#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }
}
