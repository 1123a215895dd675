//! The log as it is read for proof: one statement over all of it, on a thread of its own, which hashes and decodes while
//! others fold and compare. What waits is a few pages.

use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use bytes::{Buf, Bytes};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use schemas::event::Event;
use schemas::merkle::{Hash, leaf_hash};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Events a page.
const PAGE: usize = 4_096;
/// Pages that wait to be folded.
const AHEAD: usize = 3;

/// An event that was read, hashed and decoded. Its bytes are not kept.
#[derive(Debug)]
pub struct Read {
    /// Its place.
    pub position: u64,
    /// When the ledger appended it.
    pub recorded_at: DateTime<Utc>,
    /// Of its own bytes.
    pub leaf: Hash,
    /// What the bytes say.
    pub event: Result<Event, String>,
    /// A column beside the bytes that does not say what they say.
    pub odd_column: Option<&'static str>,
}

impl Read {
    /// From an event's own bytes.
    pub fn new(position: u64, recorded_at: DateTime<Utc>, bytes: &[u8]) -> Self {
        let event = Event::decode(bytes).map_err(|error| error.to_string());
        Self { position, recorded_at, leaf: leaf_hash(bytes), event, odd_column: None }
    }
}

/// Pages as they are read; an error is the last.
pub(super) type Pages = mpsc::Receiver<Result<Vec<Read>>>;

/// Reads everything after a position in the snapshot of another session. Ends early when nobody takes the pages.
pub(super) fn read(options: PgConnectOptions, snapshot: String, after: u64) -> Result<(Pages, JoinHandle<()>)> {
    let (pages, taken) = mpsc::channel(AHEAD);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        runtime.block_on(async {
            if let Err(error) = send(options, &snapshot, after, &pages).await {
                // Whoever has gone does not need to know.
                let _ = pages.send(Err(error)).await;
            }
        });
    })?;
    Ok((taken, thread))
}

async fn send(
    options: PgConnectOptions,
    snapshot: &str,
    after: u64,
    pages: &mpsc::Sender<Result<Vec<Read>>>,
) -> Result<()> {
    let mut db = options.connect().await.context("cannot reach PostgreSQL")?;
    db.execute("begin isolation level repeatable read, read only").await?;
    let own = snapshot.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    ensure!(own, "not the name of a snapshot: {snapshot}");
    db.execute(AssertSqlSafe(format!("set transaction snapshot '{snapshot}'"))).await?;
    // In the order of the primary key, whatever the planner thinks of sorting the whole log.
    db.execute("set local enable_seqscan = off").await?;
    db.execute("set local enable_sort = off").await?;
    let copy = format!(
        "copy (select position, event_id, event_type, account_id, request_id, emitter, seq, recorded_at, event
               from ledger.events where position > {after} order by position) to stdout (format binary)"
    );
    let mut rows = db.copy_out_raw(&copy).await?;
    let mut page = Vec::with_capacity(PAGE);
    let mut begun = false;
    while let Some(chunk) = rows.next().await {
        let mut chunk = Columns(chunk?);
        if !begun {
            chunk.header()?;
            begun = true;
        }
        while let Some(row) = chunk.row()? {
            page.push(row);
            if page.len() == PAGE {
                let full = std::mem::replace(&mut page, Vec::with_capacity(PAGE));
                if pages.send(Ok(full)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    if !page.is_empty() {
        // Whoever has gone does not need it.
        let _ = pages.send(Ok(page)).await;
    }
    Ok(())
}

/// PostgreSQL's binary form of `copy`: rows of fields, each with its length.
struct Columns(Bytes);

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const EPOCH_US: i64 = 946_684_800_000_000;

impl Columns {
    fn header(&mut self) -> Result<()> {
        let signature = self.take(11)?;
        ensure!(signature.as_ref() == b"PGCOPY\n\xff\r\n\0", "not PostgreSQL's binary copy");
        self.take(4)?;
        let extension = self.take(4)?.get_i32();
        self.take(usize::try_from(extension)?)?;
        Ok(())
    }

    fn row(&mut self) -> Result<Option<Read>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let fields = self.take(2)?.get_i16();
        if fields == -1 {
            return Ok(None);
        }
        ensure!(fields == 9, "a row of {fields} columns");
        let position = self.number()?;
        let (event_id, event_type) = (self.uuid()?, self.some()?);
        let (account_id, request_id, emitter) = (self.uuid()?, self.uuid()?, self.uuid()?);
        let (seq, recorded_at, bytes) = (self.number()?, self.number()?, self.some()?);
        let recorded_at = DateTime::from_timestamp_micros(recorded_at.saturating_add(EPOCH_US));
        let recorded_at = recorded_at.ok_or_else(|| anyhow!("position {position} has no time"))?;
        let mut read = Read::new(u64::try_from(position)?, recorded_at, &bytes);
        if let Ok(event) = &read.event {
            let header = &event.header;
            read.odd_column = [
                (event_id != Some(header.id.0), "event_id"),
                (event_type.as_ref() != event.payload.type_name().as_bytes(), "event_type"),
                (account_id != header.account_id.map(|id| id.0), "account_id"),
                (request_id != header.request_id.map(|id| id.0), "request_id"),
                (emitter != Some(header.emitter.0), "emitter"),
                (u64::try_from(seq) != Ok(header.seq), "seq"),
            ]
            .into_iter()
            .find_map(|(odd, column)| odd.then_some(column));
        }
        Ok(Some(read))
    }

    fn take(&mut self, length: usize) -> Result<Bytes> {
        ensure!(self.0.len() >= length, "a row ends too early");
        Ok(self.0.split_to(length))
    }

    fn field(&mut self) -> Result<Option<Bytes>> {
        match self.take(4)?.get_i32() {
            -1 => Ok(None),
            length => self.take(usize::try_from(length)?).map(Some),
        }
    }

    fn some(&mut self) -> Result<Bytes> {
        self.field()?.context("a column is null that cannot be")
    }

    fn number(&mut self) -> Result<i64> {
        let field = self.some()?;
        Ok(i64::from_be_bytes(field.as_ref().try_into().context("not a number of 8 bytes")?))
    }

    fn uuid(&mut self) -> Result<Option<Uuid>> {
        self.field()?.map(|field| Uuid::from_slice(&field).context("not a UUID")).transpose()
    }
}
