use std::collections::{HashMap, HashSet};

use schemas::books::Books;
use schemas::event::Event;
use schemas::ids::{EmitterId, EventId};
use schemas::merkle::Frontier;
use schemas::seq_set::SeqSet;

use super::head::Head;
use super::reservations::Reservations;
use crate::life::Life;

/// All that the writer knows: a write-through copy of what it last committed. After a failed commit it is thrown away
/// and loaded anew.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The fold, as far as it was needed.
    pub books: Books,
    /// Emitters that are loaded, whether or not they have a row yet.
    pub known_emitters: HashSet<EmitterId>,
    /// Sequence numbers whose messages are in the quarantine.
    pub quarantined: HashMap<EmitterId, SeqSet>,
    /// Lives that are not over.
    pub lives: HashMap<EmitterId, Life>,
    /// Room below keys' caps that was promised.
    pub reservations: Reservations,
    /// The log's end.
    pub head: Head,
    /// The log as a tree: as far as the position, once a batch is applied and hashed.
    pub tree: Frontier,
    /// This process as an emitter.
    pub own: Own,
}

/// The ledger's own counter.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// This life of this process.
    pub emitter: EmitterId,
    /// Last sequence number used.
    pub seq: u64,
}

impl Default for Own {
    fn default() -> Self {
        Self { emitter: EmitterId(uuid::Uuid::nil()), seq: 0 }
    }
}

impl State {
    /// How far an emitter's events are accounted for: appended, in the quarantine, or named as not coming.
    pub fn accounted(&self, emitter: EmitterId) -> SeqSet {
        let mut ranges = self.appended(emitter).ranges().to_vec();
        if let Some(known) = self.books.emitters.get(&emitter) {
            ranges.extend_from_slice(known.never.ranges());
        }
        SeqSet::from_ranges(&ranges)
    }

    /// What an emitter need not keep any longer: appended, or in the quarantine. What a fence has named as not coming is
    /// not among it: a gateway that was only paused still has it, and is to say it.
    pub fn appended(&self, emitter: EmitterId) -> SeqSet {
        let mut ranges = Vec::new();
        if let Some(known) = self.books.emitters.get(&emitter) {
            ranges.extend_from_slice(known.seen.ranges());
        }
        if let Some(quarantined) = self.quarantined.get(&emitter) {
            ranges.extend_from_slice(quarantined.ranges());
        }
        SeqSet::from_ranges(&ranges)
    }
}

/// A row of `ledger.events` to be.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its place.
    pub position: u64,
    /// Its id.
    pub event_id: EventId,
    /// Its type.
    pub event_type: &'static str,
    /// Whose books.
    pub account_id: Option<uuid::Uuid>,
    /// Which request.
    pub request_id: Option<uuid::Uuid>,
    /// Who said it.
    pub emitter: EmitterId,
    /// That one's counter.
    pub seq: u64,
    /// Its own bytes.
    pub bytes: bytes::Bytes,
    /// When it was appended, if it was before: in the database that it is brought from.
    pub recorded_at: Option<chrono::DateTime<chrono::Utc>>,
}

impl EventRow {
    /// The columns are what the envelope says.
    pub fn new(position: u64, event: &Event, bytes: bytes::Bytes) -> Self {
        let header = &event.header;
        Self {
            position,
            event_id: header.id,
            event_type: event.payload.type_name(),
            account_id: header.account_id.map(|id| id.0),
            request_id: header.request_id.map(|id| id.0),
            emitter: header.emitter,
            seq: header.seq,
            bytes,
            recorded_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::books::Emitter;

    use super::*;

    #[test]
    fn what_a_fence_named_as_not_coming_is_still_to_be_kept_by_its_gateway() {
        let emitter = EmitterId(uuid::Uuid::nil());
        let (seen, never) = (SeqSet::from_ranges(&[(1, 1), (3, 3)]), SeqSet::from_ranges(&[(2, 2)]));
        let mut state = State::default();
        state.books.emitters.insert(emitter, Emitter { seen, never, fenced: true });
        assert_eq!(state.appended(emitter).ranges(), [(1, 1), (3, 3)]);
        assert_eq!(state.accounted(emitter).ranges(), [(1, 3)]);
    }
}
