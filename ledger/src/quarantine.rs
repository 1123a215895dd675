//! Messages that could not be applied, as operators look at them. Dealing with them is a command (`command/`).

use anyhow::Result;
use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use schemas::event::Event;
use schemas::hash::MessageHash;
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// Which entries are meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// In which state.
    #[arg(skip)]
    pub state: State,
    /// Of one emitter, where that could be read.
    #[arg(long)]
    pub emitter: Option<Uuid>,
    /// Of events of this type, by their subject.
    #[arg(long = "type")]
    pub event_type: Option<String>,
    /// Whose reason has these words.
    #[arg(long)]
    pub because: Option<String>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Nobody has dealt with it.
    #[default]
    Open,
    /// Its event is in the log.
    Replayed,
    /// It was given up.
    Dismissed,
    /// Whatever.
    All,
}

impl State {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Replayed => Some("replayed"),
            Self::Dismissed => Some("dismissed"),
            Self::All => None,
        }
    }
}

/// A message that was quarantined.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub id: i64,
    pub state: String,
    pub received_at: DateTime<Utc>,
    pub generation: i64,
    pub stream_seq: i64,
    pub subject: String,
    /// Who said it, where that could be read.
    pub emitter: Option<Uuid>,
    pub seq: Option<i64>,
    /// Why it was not applied when it came.
    pub reason: String,
    /// Why it was refused again when it was replayed last.
    pub retry_reason: Option<String>,
    pub retried_at: Option<DateTime<Utc>>,
    /// Of the event that says what became of it.
    pub position: Option<i64>,
    pub bytes: i64,
}

/// How many entries are there for one reason.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct Count {
    pub state: String,
    pub reason: String,
    pub count: i64,
}

/// Entries in the order in which they came, `limit` at most.
pub async fn list(db: &mut PgConnection, filter: &Filter, limit: i64) -> Result<Vec<Entry>> {
    let entries = sqlx::query_as!(
        Entry,
        r#"select id, state, received_at, generation, stream_seq, subject, emitter, seq, reason, retry_reason, retried_at,
                  position, octet_length(message)::bigint as "bytes!"
           from ledger.quarantine
           where ($1::text is null or state = $1) and ($2::uuid is null or emitter = $2)
             and ($3::text is null or subject like '%.' || $3) and ($4::text is null or strpos(reason, $4) > 0)
           order by id limit $5"#,
        filter.state.name(),
        filter.emitter,
        filter.event_type,
        filter.because,
        limit
    )
    .fetch_all(db)
    .await?;
    Ok(entries)
}

/// How many there are, by state and reason, most first.
pub async fn counts(db: &mut PgConnection, filter: &Filter) -> Result<Vec<Count>> {
    let counts = sqlx::query_as!(
        Count,
        r#"select state, reason, count(*) as "count!" from ledger.quarantine
           where ($1::text is null or state = $1) and ($2::uuid is null or emitter = $2)
             and ($3::text is null or subject like '%.' || $3) and ($4::text is null or strpos(reason, $4) > 0)
           group by state, reason order by 3 desc, 1, 2"#,
        filter.state.name(),
        filter.emitter,
        filter.event_type,
        filter.because
    )
    .fetch_all(db)
    .await?;
    Ok(counts)
}

/// An entry with its message.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// What is known of it.
    #[serde(flatten)]
    pub entry: Entry,
    /// SHA-256 of the message's bytes, by which events name it.
    pub sha256: MessageHash,
    /// What this program reads in the message: a type, or why nothing.
    pub reads_as: String,
    /// The message, where it is text.
    pub text: Option<String>,
    /// The message's bytes in hexadecimal.
    pub hex: String,
}

/// One entry; none if there is no such id.
pub async fn show(db: &mut PgConnection, id: u64) -> Result<Option<Shown>> {
    let id = i64::try_from(id)?;
    let entry = sqlx::query_as!(
        Entry,
        r#"select id, state, received_at, generation, stream_seq, subject, emitter, seq, reason, retry_reason, retried_at,
                  position, octet_length(message)::bigint as "bytes!"
           from ledger.quarantine where id = $1"#,
        id
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(entry) = entry else { return Ok(None) };
    let message = sqlx::query_scalar!("select message from ledger.quarantine where id = $1", id).fetch_one(db).await?;
    let reads_as = match Event::decode(&message) {
        Ok(event) => event.payload.type_name().to_owned(),
        Err(error) => error.to_string(),
    };
    Ok(Some(Shown {
        entry,
        sha256: MessageHash::of(&message),
        reads_as,
        hex: message.iter().map(|byte| format!("{byte:02x}")).collect(),
        text: String::from_utf8(message).ok(),
    }))
}
