use anyhow::{Context, Result};
use schemas::event::Event;
use sqlx::PgConnection;

/// Read so many at a time: memory stays bounded however long the log is.
const PAGE: i64 = 5_000;

/// An event with its place and its own bytes.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Logged {
    pub position: u64,
    pub recorded_at: chrono::DateTime<chrono::Utc>,
    pub bytes: Vec<u8>,
    pub event: Event,
}

/// Which events of the log are read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only those of one account, and those of no account, which may concern it.
    pub account: Option<schemas::ids::AccountId>,
    /// Only up to this position.
    pub until_position: Option<u64>,
}

/// Reads the log in order, page by page.
pub struct Pages {
    filter: Filter,
    after: i64,
}

impl Pages {
    /// From the first event.
    pub fn new(filter: Filter) -> Self {
        Self { filter, after: 0 }
    }

    /// The next page; empty at the end.
    pub async fn next(&mut self, db: &mut PgConnection) -> Result<Vec<Logged>> {
        let until = self.filter.until_position.map_or(i64::MAX, |position| i64::try_from(position).unwrap_or(i64::MAX));
        let rows = match self.filter.account {
            None => all(db, self.after, until).await?,
            Some(account) => of_account(db, account.0, self.after, until).await?,
        };
        let mut page = Vec::with_capacity(rows.len());
        for Row { position, recorded_at, event: bytes } in rows {
            let event = Event::decode(&bytes).with_context(|| format!("position {position} is not an event"))?;
            page.push(Logged { position: position as u64, recorded_at, bytes, event });
            self.after = position;
        }
        Ok(page)
    }
}

struct Row {
    position: i64,
    recorded_at: chrono::DateTime<chrono::Utc>,
    event: Vec<u8>,
}

async fn all(db: &mut PgConnection, after: i64, until: i64) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        "select position, recorded_at, event from ledger.events where position > $1 and position <= $2 order by position limit $3",
        after,
        until,
        PAGE
    )
    .fetch_all(db)
    .await
}

/// Two walks along the index of accounts, so that a small account of a large log is read at once.
async fn of_account(
    db: &mut PgConnection,
    account: uuid::Uuid,
    after: i64,
    until: i64,
) -> Result<Vec<Row>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"(select position as "position!", recorded_at as "recorded_at!", event as "event!" from ledger.events
            where account_id = $1 and position > $2 and position <= $3 order by position limit $4)
           union all
           (select position, recorded_at, event from ledger.events
            where account_id is null and position > $2 and position <= $3 order by position limit $4)
           order by 1 limit $4"#,
        account,
        after,
        until,
        PAGE
    )
    .fetch_all(db)
    .await
}
