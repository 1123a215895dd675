use chrono::{DateTime, Utc};
use schemas::ids::AccountId;

use super::Feeds;
use super::told::Standing;
use crate::error::Error;

/// Events a page: what a feed has in memory at most.
pub(super) const PAGE: usize = 100;

/// What came after a position, as far as the read models are.
pub(super) struct Page {
    /// How far they are.
    pub(super) reached: i64,
    pub(super) events: Vec<Logged>,
}

/// An event as the ledger has it, and what its account had after it.
pub(super) struct Logged {
    pub(super) position: i64,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) bytes: Vec<u8>,
    /// The event that says of which model and key it is, where it is another one.
    pub(super) about: Option<Vec<u8>>,
    /// None before the account's first event that moved something.
    pub(super) after: Option<Standing>,
}

/// Where a feed begins.
pub(super) struct Beginning {
    pub(super) position: i64,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) standing: Standing,
}

impl Feeds {
    /// What the account had after a position; now, where none is named. The outer error is the database's.
    pub(super) async fn beginning(
        &self,
        account: AccountId,
        after: Option<i64>,
    ) -> Result<Result<Beginning, Error>, sqlx::Error> {
        let found = sqlx::query!(
            r#"
            select p.position as "reached!", p.as_of as "as_of?", p.history_from,
                h.balance::text as "balance?", h.held::text as "held?", h.available::text as "available?"
            from projection p
            left join lateral (
                select c.balance, c.held, c.available from credit_history c
                where c.account_id = $1 and c.position <= coalesce($2, p.position)
                order by c.position desc limit 1
            ) h on true
            where p.name = 'read_models'
            "#,
            account.0,
            after
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(found) = found else { return Ok(Err(Error::CannotRead)) };
        let position = after.unwrap_or(found.reached);
        // What came before the history was kept cannot be told.
        if found.history_from.is_none_or(|from| from > position.saturating_add(1)) {
            return Ok(Err(Error::HistoryNotBuilt));
        }
        let standing = standing(found.balance, found.held, found.available)?;
        Ok(match (standing, found.as_of) {
            (Some(standing), Some(recorded_at)) => Ok(Beginning { position, recorded_at, standing }),
            // It was opened a moment ago; who names a position hears of the opening.
            (None, _) if after.is_none() => Err(Error::NotYetProjected),
            (standing, recorded_at) => Ok(Beginning {
                position,
                recorded_at: recorded_at.unwrap_or_default(),
                standing: standing.unwrap_or_default(),
            }),
        })
    }

    /// The account's next events. One statement, so that the events and what was there after them belong together.
    pub(super) async fn page(&self, account: AccountId, after: i64) -> Result<Option<Page>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"
            select p.position as "reached!", e.position as "position?", e.recorded_at as "recorded_at?", e.event as "event?",
                e.about as "about?", h.balance::text as "balance?", h.held::text as "held?", h.available::text as "available?"
            from projection p
            left join lateral ledger.events_of_account($1, $2, p.position, $3) e on true
            left join lateral (
                select c.balance, c.held, c.available from credit_history c
                where c.account_id = $1 and c.position <= e.position
                order by c.position desc limit 1
            ) h on true
            where p.name = 'read_models'
            order by e.position
            "#,
            account.0,
            after,
            PAGE as i32
        )
        .fetch_all(&self.pool)
        .await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let mut page = Page { reached: first.reached, events: Vec::with_capacity(rows.len()) };
        for row in rows {
            if let (Some(position), Some(recorded_at), Some(bytes)) = (row.position, row.recorded_at, row.event) {
                let after = standing(row.balance, row.held, row.available)?;
                page.events.push(Logged { position, recorded_at, bytes, about: row.about, after });
            }
        }
        Ok(Some(page))
    }
}

fn standing(
    balance: Option<String>,
    held: Option<String>,
    available: Option<String>,
) -> Result<Option<Standing>, sqlx::Error> {
    let read = |text: String| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
    let (Some(balance), Some(held), Some(available)) = (balance, held, available) else { return Ok(None) };
    Ok(Some(Standing { balance: read(balance)?, held: read(held)?, available: read(available)? }))
}
