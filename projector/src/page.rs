use schemas::event::{DecodeError, Event};
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::task::spawn_blocking;

use crate::database;
use crate::log::{self, Logged, ReadError};

/// Events of the log in their order, each decoded once, or what is wrong with it.
#[derive(Debug, Default)]
pub struct Page {
    events: Vec<Logged>,
    decoded: Vec<Result<Event, DecodeError>>,
}

impl Page {
    /// Decodes these events.
    pub fn of(events: Vec<Logged>) -> Self {
        let decoded = events.iter().map(|logged| Event::decode(&logged.event)).collect();
        Self { events, decoded }
    }

    /// The events as they lie in the log.
    pub fn events(&self) -> &[Logged] {
        &self.events
    }

    /// The same, decoded.
    pub fn decoded(&self) -> &[Result<Event, DecodeError>] {
        &self.decoded
    }

    /// The position of the last one; `None` where there is none.
    pub fn last(&self) -> Option<i64> {
        self.events.last().map(|logged| logged.position)
    }
}

/// Reads and decodes the log on a connection and a thread of its own, while the page before is being written.
pub(crate) struct Ahead {
    connection: PgConnection,
    /// What was read ahead, and after which position.
    next: Option<(i64, Page)>,
}

impl Ahead {
    pub(crate) async fn new(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: database::connect(options).await?, next: None })
    }

    /// The events after a position, at most so many and none after `through`; fewer where they were read ahead before more came.
    pub(crate) async fn page(&mut self, after: i64, through: i64, at_most: i64) -> Result<Page, ReadError> {
        match self.next.take() {
            Some((ahead_of, page)) if ahead_of == after && page.last().is_some() => Ok(page),
            _ => self.read(after, through, at_most).await,
        }
    }

    /// Reads what `page` will be asked for next.
    pub(crate) async fn read_on(&mut self, after: i64, through: i64, at_most: i64) -> Result<(), ReadError> {
        self.next = Some((after, self.read(after, through, at_most).await?));
        Ok(())
    }

    async fn read(&mut self, after: i64, through: i64, at_most: i64) -> Result<Page, ReadError> {
        let events = log::read(&mut self.connection, after, through, at_most).await?;
        // A few events are decoded sooner than handed over.
        const FEW: usize = 64;
        match events.len() {
            0..FEW => Ok(Page::of(events)),
            _ => spawn_blocking(move || Page::of(events)).await.map_err(|_| ReadError::Decoding),
        }
    }
}
