//! An entry of the quarantine, for those who deal with it.

use schemas::message::{Refusal, RefusalCode};
use schemas::subject::StreamSubject;
use sqlx::PgPool;

use super::{database_away, refusal};
use crate::append::{Batch, StreamMessage};

/// A message that was quarantined, as it came.
pub(super) struct Entry {
    pub(super) message: StreamMessage,
}

impl Entry {
    /// Whether it came where events come.
    pub(super) fn is_event(&self) -> bool {
        StreamSubject::parse(&self.message.subject) == StreamSubject::Event
    }
}

pub(super) async fn entry(pool: &PgPool, id: u64) -> Result<Entry, Refusal> {
    let unknown = || refusal(RefusalCode::UnknownEntry, format!("the quarantine has no entry {id}"));
    let row = sqlx::query!(
        "select generation, stream_seq, subject, message from ledger.quarantine where id = $1",
        i64::try_from(id).map_err(|_| unknown())?
    )
    .fetch_optional(pool)
    .await
    .map_err(database_away)?
    .ok_or_else(unknown)?;
    let message = StreamMessage {
        generation: row.generation as u64,
        stream_seq: row.stream_seq as u64,
        subject: row.subject,
        payload: row.message.into(),
        // It moves the books, not the place in the stream.
        recovered: true,
    };
    Ok(Entry { message })
}

/// An entry is dealt with once.
pub(super) fn is_open(batch: &Batch<'_>, id: u64) -> Result<(), Refusal> {
    match batch.state.books.closed.get(&id) {
        None => Ok(()),
        Some(closed) => {
            let message = format!("entry {id} was {} at position {}", closed.closed_as.name(), closed.position);
            Err(refusal(RefusalCode::EntryClosed, message))
        }
    }
}
