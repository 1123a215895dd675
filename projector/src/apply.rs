//! One batch of events in one transaction:
//!
//! | phase | what | locked |
//! |---|---|---|
//! | claim | the checkpoint is where we left it, and the version is still live (or not yet) | the checkpoint's row |
//! | load | what is known of the requests and accounts in the batch | |
//! | fold | what changes; pure | |
//! | write | one statement a table | the rows |
//! | move | the checkpoint, on condition of where it was | |

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::event::{DecodeError, Event};
use sqlx::{Connection, PgConnection, PgTransaction};
use uuid::Uuid;

use crate::fold::{Batch, Changes, Memory, Poison, Request};
use crate::kept::{self, Kept};
use crate::log::{Logged, ReadError};
use crate::page::Page;
use crate::tables::Tables;
use crate::{fold, write};

/// The projection that this program keeps.
pub const PROJECTION: &str = "read_models";

/// A version that is written to, and where its writer left it.
#[derive(Debug)]
pub struct Version {
    /// Its number.
    pub version: i32,
    /// Whether queries see it.
    pub live: bool,
    /// The last event whose rows are there.
    pub position: i64,
    /// How often rows were replaced beside its writer. What it remembers is as of then.
    repairs: i32,
    /// Which tables are filled.
    tables: Tables,
    /// Which months it keeps.
    pub kept: Kept,
    memory: Memory,
}

/// What to do with an event that cannot be projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPoison {
    /// Live: pass over it, and say so.
    Quarantine,
    /// In a rebuild: stop.
    Stop,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Events read.
    pub events: usize,
    /// Of those, passed over.
    pub quarantined: usize,
}

/// Why a batch was not applied. Nothing of it was then written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Another program moved the checkpoint or replaced rows, or another version went live. Start from there.
    #[error("the checkpoint is not where it was left")]
    Moved,
    /// A rebuild met an event that it cannot project.
    #[error("the event at position {position} cannot be projected: {poison}")]
    Poison {
        /// Where it lies.
        position: i64,
        /// Why.
        poison: Poison,
    },
    /// The log could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A row that an event needs is not there: an earlier event was passed over, or tables were changed by hand.
    #[error("{table}: {expected} rows were to change, {found} are there")]
    MissingRows {
        /// Which table.
        table: &'static str,
        /// Rows that were to change.
        expected: usize,
        /// Rows that are there.
        found: u64,
    },
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ApplyError {
    /// Whether an event of the batch is the cause, so that the same batch would fail for ever.
    pub fn is_an_events_fault(&self) -> bool {
        match self {
            Self::Poison { .. } | Self::MissingRows { .. } => true,
            // Classes 22 and 23: data exceptions and broken constraints.
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
            }
            _ => false,
        }
    }
}

impl Version {
    /// The live version, where it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live(connection: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query!("select version from projector.projection where name = $1 and live", PROJECTION)
            .fetch_optional(&mut *connection)
            .await?;
        match row {
            // A swap may come in between.
            Some(row) => Ok(Self::load(connection, row.version, Tables::all()).await?.filter(|version| version.live)),
            None => Ok(None),
        }
    }

    /// A version with its memory; none where there is no such version.
    pub(crate) async fn load(
        connection: &mut PgConnection,
        version: i32,
        tables: Tables,
    ) -> Result<Option<Self>, sqlx::Error> {
        // A projector that kept no journal may have read events for this version.
        sqlx::query!(
            "update projector.projection set history_from = position + 1
             where name = $1 and version = $2 and history_from is null",
            PROJECTION,
            version
        )
        .execute(&mut *connection)
        .await?;
        fill_rollups(connection, version).await?;
        let row = sqlx::query!(
            "select position, live, repairs from projector.projection where name = $1 and version = $2",
            PROJECTION,
            version
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { return Ok(None) };
        // After the row: what is replaced meanwhile is counted there, and noticed when it is claimed.
        let memory = write::load_memory(connection, version).await?;
        let kept = kept::load(connection, version).await?;
        let (live, position, repairs) = (row.live, row.position, row.repairs);
        Ok(Some(Self { version, live, position, repairs, tables, kept, memory }))
    }

    /// Which tables are filled.
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Applies the events that follow its position, in a transaction of their own.
    ///
    /// # Errors
    /// Nothing was written then, and this version must be loaded again.
    pub async fn apply(
        &mut self,
        connection: &mut PgConnection,
        page: &Page,
        on_poison: OnPoison,
    ) -> Result<Done, ApplyError> {
        let mut transaction = connection.begin().await?;
        let done = self.apply_in(&mut transaction, page, on_poison).await?;
        transaction.commit().await?;
        Ok(done)
    }

    /// The same within a transaction.
    pub(crate) async fn apply_in(
        &mut self,
        transaction: &mut PgTransaction<'_>,
        page: &Page,
        on_poison: OnPoison,
    ) -> Result<Done, ApplyError> {
        let Some(last) = page.events().last() else {
            return Ok(Done { events: 0, quarantined: 0 });
        };
        self.claim(transaction).await?;
        let (requests, accounts) = (requests_in(page.decoded()), accounts_in(page.decoded()));
        let known = match self.tables.has("requests") {
            true => self.known(transaction, requests).await?,
            false => Vec::new(),
        };
        let standings = match self.tables.has("journal") {
            true => write::load_standings(transaction, self.version, &accounts).await?,
            false => HashMap::new(),
        };
        let (changes, mut poisoned) = fold(Batch::new(&mut self.memory, known, standings), page)?;
        if on_poison == OnPoison::Stop && !poisoned.is_empty() {
            let (position, poison) = poisoned.swap_remove(0);
            return Err(ApplyError::Poison { position, poison });
        }
        write::write(transaction, self.version, &self.tables, &self.kept, &changes).await?;
        for (position, poison) in &poisoned {
            self.quarantine(transaction, *position, poison).await?;
        }
        self.advance(transaction, last).await?;
        Ok(Done { events: page.events().len(), quarantined: poisoned.len() })
    }

    /// What is known of requests: by their rows, or, where these were dropped, by their events.
    async fn known(
        &self,
        transaction: &mut PgTransaction<'_>,
        wanted: Vec<(Uuid, DateTime<Utc>)>,
    ) -> Result<Vec<Request>, sqlx::Error> {
        let (kept, retired): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|request| request.1 >= self.kept.requests);
        let mut known = write::load_requests(transaction, self.version, &kept).await?;
        known.extend(write::load_retired(transaction, self.version, self.position, &self.memory, &retired).await?);
        Ok(known)
    }

    /// Passes over one event whose rows the database refuses.
    ///
    /// # Errors
    /// Nothing was written then.
    pub async fn pass_over(
        &mut self,
        connection: &mut PgConnection,
        event: &Logged,
        poison: &Poison,
    ) -> Result<(), ApplyError> {
        let mut transaction = connection.begin().await?;
        self.claim(&mut transaction).await?;
        self.quarantine(&mut transaction, event.position, poison).await?;
        self.advance(&mut transaction, event).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn claim(&self, transaction: &mut PgTransaction<'_>) -> Result<(), ApplyError> {
        let row = sqlx::query!(
            "select position, live, repairs from projector.projection where name = $1 and version = $2 for update",
            PROJECTION,
            self.version
        )
        .fetch_optional(&mut **transaction)
        .await?;
        match row {
            Some(row) if (row.position, row.live, row.repairs) == (self.position, self.live, self.repairs) => Ok(()),
            _ => Err(ApplyError::Moved),
        }
    }

    async fn quarantine(
        &self,
        transaction: &mut PgTransaction<'_>,
        position: i64,
        poison: &Poison,
    ) -> Result<(), sqlx::Error> {
        tracing::error!(position, version = self.version, error = %poison, "an event cannot be projected and is passed over");
        sqlx::query!(
            "insert into projector.projection_quarantine (version, position, error) values ($1, $2, $3)",
            self.version,
            position,
            poison.to_string().replace('\0', "\u{fffd}"),
        )
        .execute(&mut **transaction)
        .await?;
        Ok(())
    }

    /// Moves the checkpoint up to what was read.
    async fn advance(&mut self, transaction: &mut PgTransaction<'_>, last: &Logged) -> Result<(), ApplyError> {
        let moved = sqlx::query!(
            "update projector.projection set position = $4, rollups_position = $4, as_of = $5
             where name = $1 and version = $2 and position = $3",
            PROJECTION,
            self.version,
            self.position,
            last.position,
            last.recorded_at,
        )
        .execute(&mut **transaction)
        .await?
        .rows_affected();
        if moved != 1 {
            return Err(ApplyError::Moved);
        }
        self.position = last.position;
        Ok(())
    }
}

/// An older projector may have read events for this version, which keeps no rollups: they are filled from the requests then.
/// Until that has happened, queries do not see them.
async fn fill_rollups(connection: &mut PgConnection, version: i32) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let behind = sqlx::query_scalar!(
        r#"select rollups_position is distinct from position as "behind!" from projector.projection
           where name = $1 and version = $2 for update"#,
        PROJECTION,
        version
    )
    .fetch_optional(&mut *transaction)
    .await?;
    if behind == Some(true) {
        tracing::info!(version, "summing up the requests that are there");
        sqlx::query!("select projector.fill_rollups($1)", version).execute(&mut *transaction).await?;
        sqlx::query!(
            "update projector.projection set rollups_position = position where name = $1 and version = $2",
            PROJECTION,
            version
        )
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

type Decoded = Result<Event, DecodeError>;

fn requests_in(events: &[Decoded]) -> Vec<(Uuid, DateTime<Utc>)> {
    let ids = events.iter().flatten().filter_map(|event| event.header.request_id);
    let mut wanted: Vec<_> = ids.filter_map(|id| Some((id.0, fold::created_at(id.0)?))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn accounts_in(events: &[Decoded]) -> Vec<Uuid> {
    let ids = events.iter().flatten().filter_map(|event| event.header.account_id);
    let mut wanted: Vec<_> = ids.map(|id| id.0).collect();
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

fn fold(mut batch: Batch<'_>, page: &Page) -> Result<(Changes, Vec<(i64, Poison)>), ApplyError> {
    let mut poisoned = Vec::new();
    for (logged, event) in page.events().iter().zip(page.decoded()) {
        let taken = match event {
            Ok(event) => batch.take(logged.position, logged.recorded_at, event),
            // Once more, for an error of our own: there are few of them.
            Err(_) => Event::decode(&logged.event).map(drop).map_err(Poison::from),
        };
        if let Err(poison) = taken {
            poisoned.push((logged.position, poison));
        }
    }
    let last = page.last().unwrap_or_default();
    let changes = batch.finish().map_err(|poison| ApplyError::Poison { position: last, poison })?;
    Ok((changes, poisoned))
}
