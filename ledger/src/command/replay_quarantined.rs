use schemas::event::{Event, Payload, QuarantineReplayed};
use schemas::hash::MessageHash;
use schemas::ids::EmitterId;
use schemas::message::{QuarantineReply, RefusalCode, ReplayQuarantined};
use sqlx::PgPool;

use super::quarantined::{Entry, entry, is_open};
use super::{contradicted, database_away, refusal};
use crate::append::{Batch, Command, Outcome, Took, Touched, Unreadable, answer};

/// Applies the message of an entry of the quarantine as it is: decoded by today's rules, applied to today's books, appended.
/// The entry, whose bytes never change, is read beforehand; whether it is still open is decided in the batch.
pub struct ReplayEntry {
    ask: ReplayQuarantined,
    entry: Entry,
    event: Result<Event, Unreadable>,
    /// What the log has under its emitter and seq, if anything: the position, and whether these are its bytes.
    appended: Option<(u64, bool)>,
}

impl ReplayEntry {
    /// Reads the entry.
    ///
    /// # Errors
    /// When there is none, or the database is away.
    pub async fn read(pool: &PgPool, ask: ReplayQuarantined) -> Result<Self, schemas::message::Refusal> {
        let entry = entry(pool, ask.entry).await?;
        let event = Unreadable::or_event(&entry.message.payload);
        let appended = match &event {
            Ok(event) => appended(pool, event.header.emitter, event.header.seq, &entry).await?,
            Err(_) => None,
        };
        Ok(Self { ask, entry, event, appended })
    }

    fn still_refused(&self, batch: &mut Batch<'_>, reason: &str) -> Outcome {
        batch.written.refused_again.push((self.ask.entry, reason.to_owned()));
        Err(refusal(RefusalCode::StillRefused, format!("entry {} is still refused: {reason}", self.ask.entry)))
    }
}

impl Command for ReplayEntry {
    fn touches(&self, touched: &mut Touched) {
        touched.quarantined.insert(self.ask.entry);
        if let Ok(event) = &self.event {
            touched.by_event(event);
        }
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        is_open(batch, self.ask.entry)?;
        let event = match &self.event {
            Ok(event) if self.entry.is_event() => event,
            Ok(_) => return self.still_refused(batch, "a subject that means nothing here"),
            Err(unreadable) => return self.still_refused(batch, &unreadable.reason),
        };
        let event_position = match (batch.replay(&self.entry.message, event), self.appended) {
            (Took::New(position), _) | (Took::Repeat, Some((position, true))) => position,
            (Took::Repeat, Some((_, false))) => {
                return self.still_refused(batch, "another event has this emitter and seq");
            }
            // It came from the stream since the entry was read.
            (Took::Repeat, None) => {
                return Err(refusal(RefusalCode::Unavailable, "its event is being appended just now: try again"));
            }
            (Took::Refused(reason), _) => return self.still_refused(batch, &reason),
        };
        let replayed = QuarantineReplayed {
            entry: self.ask.entry,
            sha256: MessageHash::of(&self.entry.message.payload),
            emitter: event.header.emitter,
            seq: event.header.seq,
            position: event_position,
            by: self.ask.by.clone(),
            why: self.ask.why.clone(),
        };
        let position = batch.say(Payload::QuarantineReplayed(Box::new(replayed)), None, None).map_err(contradicted)?;
        answer(&QuarantineReply { entry: self.ask.entry, position, event_position: Some(event_position) })
    }
}

async fn appended(
    pool: &PgPool,
    emitter: EmitterId,
    seq: u64,
    entry: &Entry,
) -> Result<Option<(u64, bool)>, schemas::message::Refusal> {
    let row = sqlx::query!(
        r#"select position, event = $3 as "same!" from ledger.events where emitter = $1 and seq = $2"#,
        emitter.0,
        seq as i64,
        entry.message.payload.as_ref()
    )
    .fetch_optional(pool)
    .await
    .map_err(database_away)?;
    Ok(row.map(|row| (row.position as u64, row.same)))
}
