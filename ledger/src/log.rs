use anyhow::{Context, Result};
use schemas::event::Event;
use sqlx::{PgConnection, Row};

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
    /// Only those recorded up to this time.
    pub until_time: Option<chrono::DateTime<chrono::Utc>>,
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
        let rows = sqlx::query(
            "select position, recorded_at, event from ledger.events
             where position > $1 and ($2::uuid is null or account_id = $2 or account_id is null)
               and ($3::bigint is null or position <= $3) and ($4::timestamptz is null or recorded_at <= $4)
             order by position limit $5",
        )
        .bind(self.after)
        .bind(self.filter.account.map(|id| id.0))
        .bind(self.filter.until_position.map(|position| position as i64))
        .bind(self.filter.until_time)
        .bind(PAGE)
        .fetch_all(db)
        .await?;
        let mut page = Vec::with_capacity(rows.len());
        for row in rows {
            let position: i64 = row.get(0);
            let bytes: Vec<u8> = row.get(2);
            let event = Event::decode(&bytes).with_context(|| format!("position {position} is not an event"))?;
            page.push(Logged { position: position as u64, recorded_at: row.get(1), bytes, event });
            self.after = position;
        }
        Ok(page)
    }
}
