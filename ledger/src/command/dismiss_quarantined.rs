use schemas::event::{Header, Payload, QuarantineDismissed};
use schemas::hash::MessageHash;
use schemas::message::{DismissQuarantined, QuarantineReply, Refusal};
use sqlx::PgPool;

use super::contradicted;
use super::quarantined::{Entry, entry, is_open};
use crate::append::{Batch, Command, Outcome, Touched, answer};

/// Gives an entry of the quarantine up. It is kept, and its seq stays accounted for.
pub struct DismissEntry {
    ask: DismissQuarantined,
    entry: Entry,
    header: Option<Header>,
}

impl DismissEntry {
    /// Reads the entry.
    ///
    /// # Errors
    /// When there is none, or the database is away.
    pub async fn read(pool: &PgPool, ask: DismissQuarantined) -> Result<Self, Refusal> {
        let entry = entry(pool, ask.entry).await?;
        let header = if entry.is_event() { Header::read(&entry.message.payload).ok() } else { None };
        Ok(Self { ask, entry, header })
    }
}

impl Command for DismissEntry {
    fn touches(&self, touched: &mut Touched) {
        touched.quarantined.insert(self.ask.entry);
        touched.emitters.extend(self.header.map(|header| header.emitter));
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        is_open(batch, self.ask.entry)?;
        let dismissed = QuarantineDismissed {
            entry: self.ask.entry,
            sha256: MessageHash::of(&self.entry.message.payload),
            emitter: self.header.map(|header| header.emitter),
            seq: self.header.map(|header| header.seq),
            by: self.ask.by.clone(),
            why: self.ask.why.clone(),
        };
        let position =
            batch.say(Payload::QuarantineDismissed(Box::new(dismissed)), None, None).map_err(contradicted)?;
        if let Some(header) = &self.header {
            batch.dismissed(header);
        }
        answer(&QuarantineReply { entry: self.ask.entry, position, event_position: None })
    }
}
