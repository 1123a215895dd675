//! `GET /v1/credits`: what the account has, as the read model knows it. It may be a moment old, and says how old.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::edge::Edge;
use crate::error::Error;
use crate::till::Caller;

/// The read model `credit_balances`.
pub struct Balances {
    pool: PgPool,
}

/// An account's credits, in decimal strings.
#[derive(Debug, Serialize)]
pub struct Credits {
    /// Posted: bought and not charged.
    balance: Nanocredits,
    /// Set aside for requests that run.
    held: Nanocredits,
    /// Can still be spent.
    available: Nanocredits,
    /// The ledger's position up to which this holds.
    position: i64,
    /// When the row was written.
    as_of: String,
}

/// Amounts come as text: exact, and read by the type that all money is read by.
type Row = (String, String, String, i64, DateTime<Utc>);

impl Balances {
    /// A pool that connects when it is first asked, so that the gateway runs without a database.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn open(database_url: &str) -> anyhow::Result<Self> {
        /// Small: one short query a request, and requests for money never wait for it.
        const CONNECTIONS: u32 = 4;
        const PATIENCE: Duration = Duration::from_secs(2);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        Ok(Self { pool: options.connect_lazy(database_url)? })
    }

    async fn of(&self, account: AccountId) -> Result<Option<Row>, sqlx::Error> {
        // To become `query_as!` when the migrations are there to check it against.
        sqlx::query_as(
            "select balance::text, held::text, available::text, position, updated_at \
             from credit_balances where account_id = $1",
        )
        .bind(account.0)
        .fetch_optional(&self.pool)
        .await
    }
}

/// `GET /v1/credits`.
///
/// # Errors
/// When the read model cannot be read, or does not know the account yet.
pub async fn show(State(edge): State<Edge>, Extension(caller): Extension<Caller>) -> Result<Json<Credits>, Error> {
    let balances = edge.balances().ok_or(Error::CannotRead)?;
    let row = balances.of(caller.account_id).await.map_err(|error| {
        tracing::warn!(account.id = %caller.account_id, %error, "credits.unreadable");
        Error::CannotRead
    })?;
    let (balance, held, available, position, updated_at) = row.ok_or(Error::NotYetProjected)?;
    let amount = |text: String| text.parse::<Nanocredits>().map_err(|_| Error::Internal);
    Ok(Json(Credits {
        balance: amount(balance)?,
        held: amount(held)?,
        available: amount(available)?,
        position,
        as_of: updated_at.to_rfc3339_opts(SecondsFormat::Micros, true),
    }))
}
