//! What an account is told of its money beside its credits, in shapes that clients parse already. Everything here is read for
//! the account that asks and for no other: the account of the caller's key is part of every query.
//!
//! | route | shape | from |
//! |---|---|---|
//! | `/v1/key` | OpenRouter's | the ledger's word on the key and its cap; what it used, from `usage_logs` |
//! | `/v1/generation` | OpenRouter's and Vercel's | the request's events, at once |
//! | `/v1/usage` | a list of OpenAI's, by pages | `usage_daily` |
//! | `/v1/dashboard/billing/…` | OpenAI's old ones | `credit_balances`, `usage_daily` |

mod amount;
mod cursor;
/// The old dashboard's two routes.
pub mod dashboard;
mod days;
/// `GET /v1/generation`.
pub mod generation;
/// `GET /v1/key`.
pub mod key;
mod query;
/// `GET /v1/usage`.
pub mod usage;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use schemas::money::{MoneyError, Nanocredits};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

pub(crate) use self::query::asked;
use crate::edge::Edge;
use crate::error::Error;

/// The read models of usage.
pub struct Billing {
    pool: PgPool,
}

impl Billing {
    /// A pool that connects when it is first asked. Its own: sums take longer than a look at the credits, and must not hold
    /// that up.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn open(database_url: &str) -> anyhow::Result<Self> {
        const CONNECTIONS: u32 = 4;
        const PATIENCE: Duration = Duration::from_secs(2);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).after_connect(
            |connection, _| {
                Box::pin(async move {
                    // A sum over more than that is refused, whoever asks for it.
                    sqlx::query!("set statement_timeout = '5s'").execute(connection).await.map(drop)
                })
            },
        );
        Ok(Self { pool: options.connect_lazy(database_url)? })
    }
}

fn billing(edge: &Edge) -> Result<&Billing, Error> {
    edge.billing().ok_or(Error::CannotRead)
}

fn unreadable(error: sqlx::Error) -> Error {
    tracing::warn!(%error, "billing.unreadable");
    Error::CannotRead
}

/// A sum as the database writes it.
fn credits(text: &str) -> Result<Nanocredits, Error> {
    text.parse().map_err(|error: MoneyError| {
        tracing::error!(%error, text, "billing.unreadable");
        Error::CannotRead
    })
}

fn told(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
