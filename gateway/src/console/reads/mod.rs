//! What the pages read: the read models and the functions that a gateway's role may ask. Every query is bounded, by an account and
//! a time or by a page of an index, and is stopped when it takes too long.

mod accounts;
mod balance;
mod credits;
mod keys;
mod operations;
mod requests;
mod usage;

use std::time::Duration;

use schemas::money::Nanocredits;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

pub(super) use self::accounts::Listed;
pub(super) use self::operations::Operations;
pub(super) use self::requests::{Filter, Request};
pub(super) use self::usage::{ByDay, Share};
use super::answer::Refusal;
use crate::edge::Edge;

/// Rows of a page.
pub(super) const PAGE: usize = 50;
/// One more: whether there is another page.
const ROWS: i64 = 51;

/// The tables, on connections of their own: who looks takes none from those who ask for money.
pub(super) struct Reads {
    pool: PgPool,
}

impl Reads {
    /// A pool that connects when it is first asked.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub(super) fn open(database_url: &str) -> anyhow::Result<Self> {
        const CONNECTIONS: u32 = 3;
        const PATIENCE: Duration = Duration::from_secs(3);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).after_connect(
            |connection, _| {
                Box::pin(
                    async move { sqlx::query!("set statement_timeout = '4s'").execute(connection).await.map(drop) },
                )
            },
        );
        Ok(Self { pool: options.connect_lazy(database_url)? })
    }

    /// Those of a gateway that has a database.
    pub(super) fn of(edge: &Edge) -> Result<&Self, Refusal> {
        let reads = edge.console().and_then(|console| console.reads.as_ref());
        reads.ok_or(Refusal::Unavailable("This gateway has no database."))
    }
}

/// A page of a list, and whether there are rows below it.
pub(super) fn cut<T>(mut rows: Vec<T>) -> (Vec<T>, bool) {
    let more = rows.len() > PAGE;
    rows.truncate(PAGE);
    (rows, more)
}

/// An amount as the database writes it: exact, and read by the type that all money is read by.
fn amount(text: &str) -> Result<Nanocredits, Refusal> {
    text.parse().map_err(|error| {
        tracing::error!(%error, text, "console.unreadable");
        Refusal::Broken("An amount in the read models is no amount.")
    })
}
