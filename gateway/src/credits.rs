//! `GET /v1/credits`: what the account has, as the read model knows it. It may be a moment old, and says how old.
//!
//! With `?as_of=<position or time>`: what it had there, exactly. That is one look into an index, whatever the length of the
//! history (docs/decisions/0009-journal.md).

mod as_of;

use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use serde::Serialize;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use self::as_of::AsOf;
use crate::edge::Edge;
use crate::error::Error;
use crate::position::{At, Reached};
use crate::till::Caller;

/// The read model `credit_balances`.
pub struct Balances {
    pool: PgPool,
}

/// An account's credits, in decimal strings.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Credits {
    /// Posted: bought and not charged.
    balance: Nanocredits,
    /// Set aside for requests that run.
    held: Nanocredits,
    /// Can still be spent.
    available: Nanocredits,
    /// The ledger's position up to which this holds.
    position: i64,
    /// When the ledger recorded the event at that position.
    as_of: String,
}

/// A row, as it comes. Amounts come as text: exact, and read by the type that all money is read by.
struct Row {
    balance: String,
    held: String,
    available: String,
    position: i64,
    as_of: DateTime<Utc>,
}

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

    /// The last position that the read models know; none before there are any.
    pub(crate) async fn reached(&self) -> Result<Option<i64>, sqlx::Error> {
        let reached =
            sqlx::query_scalar!(r#"select position as "position!" from projection where name = 'read_models'"#);
        reached.fetch_optional(&self.pool).await
    }

    async fn of(&self, account: AccountId) -> Result<Option<Row>, sqlx::Error> {
        // One statement, so that the figures and how far they reach belong together.
        sqlx::query_as!(
            Row,
            r#"
            select b.balance::text as "balance!", b.held::text as "held!", b.available::text as "available!",
                p.position as "position!", p.as_of as "as_of!"
            from credit_balances b cross join projection p
            where b.account_id = $1 and p.name = 'read_models'
            "#,
            account.0
        )
        .fetch_optional(&self.pool)
        .await
    }
}

/// When; now, where it is not said.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "the query is read member by member: see `AsOf`; this describes it")]
pub struct Wanted {
    /// A position of the ledger (from 1 on), or a time (RFC 3339).
    as_of: Option<String>,
    /// The answer holds at least what stands at this position: an `x-layers-position`. It is waited for, for a moment.
    min_position: Option<u64>,
}

/// `GET /v1/credits`, now or as of a position or time.
///
/// # Errors
/// When the read model cannot be read or does not know the account yet, or did not at that time; when the time makes no
/// sense or has not come.
pub(crate) async fn show(
    State(edge): State<Edge>,
    Extension(caller): Extension<Caller>,
    _: Reached,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<At<Credits>, Error> {
    let as_of = AsOf::asked(query)?;
    let balances = edge.balances().ok_or(Error::CannotRead)?;
    let row = match as_of {
        None => balances.of(caller.account_id).await.map(|row| row.ok_or(Error::NotYetProjected)),
        Some(as_of) => balances.at(caller.account_id, as_of, Utc::now()).await,
    };
    let row = row.map_err(|error| {
        tracing::warn!(account.id = %caller.account_id, %error, "credits.unreadable");
        Error::CannotRead
    })??;
    let amount = |text: String| text.parse::<Nanocredits>().map_err(|_| Error::Internal);
    let credits = Credits {
        balance: amount(row.balance)?,
        held: amount(row.held)?,
        available: amount(row.available)?,
        position: row.position,
        as_of: row.as_of.to_rfc3339_opts(SecondsFormat::Micros, true),
    };
    Ok(At::read(row.position, credits))
}
