//! One batch: stream messages and commands become rows. Pure: no clock, no I/O; time and ids come in.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::books::{Applied, Ending, FollowUp, Note, Rejected};
use schemas::event::{Event, FROM_GATEWAYS, GatewayFenced, Header, Payload, Source, encode_payload};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::merkle::Grown;
use schemas::subject::StreamSubject;

use super::follow::follow_up_payload;
use super::message::{StreamMessage, Unreadable};
use super::reservations::Reservation;
use super::state::{EventRow, State};
use crate::life::{Closing, LifeState};

/// What a batch is to write, beside what `books.changed` names.
#[derive(Debug, Default)]
pub struct Written {
    /// New events, in order of position.
    pub events: Vec<EventRow>,
    /// Tiles that these events complete or make longer.
    pub tiles: Grown,
    /// Messages that cannot be true.
    pub quarantined: Vec<Quarantined>,
    /// What was odd.
    pub notes: Vec<(u64, Note)>,
    /// Lives that were registered or changed.
    pub lives: BTreeSet<EmitterId>,
    /// Reservations that were made or ended.
    pub reservations: BTreeSet<RequestId>,
    /// Emitters of gateways that must be told how far they are.
    pub heard: BTreeSet<EmitterId>,
    /// Repeats: dropped if their bytes are those that are stored.
    pub repeats: Vec<Repeat>,
    /// How many messages came again, by emitter.
    pub repeated: BTreeMap<EmitterId, i64>,
    /// Entries of the quarantine that were replayed and refused again, with the new reason.
    pub refused_again: Vec<(u64, String)>,
}

/// What came of an event of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Took {
    /// Its event is appended at this position.
    New(u64),
    /// Under its emitter and seq an event was appended before.
    Repeat,
    /// It cannot be true.
    Refused(String),
}

/// A message for the quarantine.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Quarantined {
    pub message: StreamMessage,
    pub emitter: Option<EmitterId>,
    pub seq: Option<u64>,
    pub reason: String,
}

/// A message under an (emitter, seq) that was there before.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Repeat {
    pub message: StreamMessage,
    pub emitter: EmitterId,
    pub seq: u64,
}

/// A batch in the making.
pub struct Batch<'a> {
    /// What it stands on, and changes.
    pub state: &'a mut State,
    /// What it will write.
    pub written: Written,
    now: DateTime<Utc>,
    new_id: fn() -> uuid::Uuid,
}

impl<'a> Batch<'a> {
    /// Begins a batch at a time; `new_id` makes UUIDv7s.
    pub fn new(state: &'a mut State, now: DateTime<Utc>, new_id: fn() -> uuid::Uuid) -> Self {
        Self { state, written: Written::default(), now, new_id }
    }

    /// A fresh UUIDv7.
    pub fn new_id(&self) -> uuid::Uuid {
        (self.new_id)()
    }

    /// The time that the batch was begun at.
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// Applies one message of the stream. Whatever it is, the place in the stream moves past it.
    pub fn read(&mut self, message: StreamMessage, event: Option<Result<Event, Unreadable>>) {
        if !message.recovered {
            self.state.head.stream_seq = message.stream_seq;
            self.state.head.anchor = Some(message.anchor());
        }
        match (StreamSubject::parse(&message.subject), event) {
            (StreamSubject::Birth, _) => {}
            (StreamSubject::Gate { emitter, k }, _) => {
                if message.payload.as_ref() == crate::life::CLOSED && !message.recovered {
                    self.gate_closed(emitter, k);
                }
            }
            (StreamSubject::Event, Some(Ok(event))) => self.gateway_event(message, event),
            (StreamSubject::Event, Some(Err(unreadable))) => self.unreadable(message, unreadable),
            _ => self.quarantine(message, None, "a subject that means nothing here".to_owned()),
        }
    }

    /// Says something of the ledger's own, applies it, and whatever follows from it.
    pub fn say(
        &mut self,
        payload: Payload,
        account: Option<(AccountId, bool)>,
        request_id: Option<RequestId>,
    ) -> Result<u64, Rejected> {
        let header = Header {
            id: EventId(self.new_id()),
            account_id: account.map(|(id, _)| id),
            request_id,
            emitter: self.state.own.emitter,
            seq: self.state.own.seq + 1,
            time: self.now,
            livemode: account.is_none_or(|(_, livemode)| livemode),
        };
        let bytes = encode_payload(Source::Ledger, &header, &payload)
            .map_err(|_| Rejected::Contradiction("it cannot be written as JSON"))?;
        let event = Event { header, payload };
        let position = self.state.head.position + 1;
        let applied = self.state.books.apply(position, &event)?;
        self.state.own.seq += 1;
        self.append(&event, bytes.into(), position);
        if let Applied::New { follow_up, note, .. } = applied {
            self.written.notes.extend(note.map(|note| (position, note)));
            if let Some(follow_up) = follow_up {
                self.follow(&header, follow_up);
            }
        }
        Ok(position)
    }

    /// The last of a life's gates was read back closed, or its stream was given up: its leases are taken back.
    pub fn complete_fence(&mut self, gateway: EmitterId) -> Result<(), Rejected> {
        let accounted = self.state.accounted(gateway);
        let payload = Payload::GatewayFenced(Box::new(GatewayFenced { gateway, missing: accounted.holes() }));
        self.say(payload, None, None)?;
        if let Some(life) = self.state.lives.get_mut(&gateway) {
            life.state = LifeState::Fenced;
        }
        self.written.lives.insert(gateway);
        // Whatever of it can still come authorizes nothing.
        for request_id in self.state.reservations.of_life(gateway) {
            self.unreserve(request_id);
        }
        self.state.reservations.forget_life(gateway);
        Ok(())
    }

    /// Promises room below a key's cap to a request.
    pub fn reserve(&mut self, request_id: RequestId, reservation: Reservation) {
        self.state.reservations.insert(request_id, reservation);
        self.written.reservations.insert(request_id);
    }

    /// The promise to a request is over, if there was one.
    pub fn unreserve(&mut self, request_id: RequestId) {
        if self.state.reservations.remove(request_id).is_some() {
            self.written.reservations.insert(request_id);
        }
    }

    fn gate_closed(&mut self, gateway: EmitterId, k: u16) {
        let Some(life) = self.state.lives.get_mut(&gateway) else { return };
        let closing = life.close_gate(k);
        self.written.lives.insert(gateway);
        if closing == Closing::Complete
            && let Err(error) = self.complete_fence(gateway)
        {
            tracing::error!(gateway = %gateway, %error, "a fence could not be completed");
        }
    }

    fn gateway_event(&mut self, message: StreamMessage, event: Event) {
        let header = event.header;
        self.written.heard.insert(header.emitter);
        if let Some(reason) = misplaced(&message, &event) {
            return self.quarantine(message, Some(&header), reason.to_owned());
        }
        if self.is_quarantined(&header) {
            return self.repeated(header.emitter);
        }
        match self.apply(&message, &event) {
            Took::New(_) => {}
            Took::Repeat => {
                self.repeated(header.emitter);
                self.written.repeats.push(Repeat { message, emitter: header.emitter, seq: header.seq });
            }
            Took::Refused(reason) => self.quarantine(message, Some(&header), reason),
        }
    }

    fn unreadable(&mut self, message: StreamMessage, unreadable: Unreadable) {
        let Unreadable { header, reason } = unreadable;
        if let Some(header) = &header {
            self.written.heard.insert(header.emitter);
            if self.is_quarantined(header) {
                return self.repeated(header.emitter);
            }
        }
        self.quarantine(message, header.as_ref(), reason);
    }

    /// Applies a message of the quarantine as if it came from the stream now.
    pub fn replay(&mut self, message: &StreamMessage, event: &Event) -> Took {
        if let Some(reason) = misplaced(message, event) {
            return Took::Refused(reason.to_owned());
        }
        let replayed = self.apply(message, event);
        if let Took::New(_) = replayed {
            let Header { emitter, seq, .. } = event.header;
            self.written.heard.insert(emitter);
            if let Some(quarantined) = self.state.quarantined.get_mut(&emitter) {
                quarantined.remove(seq);
            }
        }
        replayed
    }

    /// A message of the quarantine is given up: whoever said it need not keep it.
    pub fn dismissed(&mut self, header: &Header) {
        self.written.heard.insert(header.emitter);
        self.state.quarantined.entry(header.emitter).or_default().insert(header.seq);
    }

    /// An event of a gateway changes the books and is appended, as it came, with what follows from it; or nothing changes.
    fn apply(&mut self, message: &StreamMessage, event: &Event) -> Took {
        let position = self.state.head.position + 1;
        match self.state.books.apply(position, event) {
            Ok(Applied::New { follow_up, note, .. }) => {
                self.append(event, message.payload.clone(), position);
                self.written.notes.extend(note.map(|note| (position, note)));
                if let Some(follow_up) = follow_up {
                    self.follow(&event.header, follow_up);
                }
                Took::New(position)
            }
            Ok(Applied::Duplicate) => Took::Repeat,
            Err(rejected) => Took::Refused(rejected.to_string()),
        }
    }

    fn is_quarantined(&self, header: &Header) -> bool {
        self.state.quarantined.get(&header.emitter).is_some_and(|seqs| seqs.contains(header.seq))
    }

    fn repeated(&mut self, emitter: EmitterId) {
        *self.written.repeated.entry(emitter).or_default() += 1;
    }

    fn follow(&mut self, header: &Header, follow_up: FollowUp) {
        let (Some(account_id), Some(request_id)) = (header.account_id, header.request_id) else { return };
        let payload = follow_up_payload(&self.state.books, account_id, request_id, follow_up);
        if let Err(error) = self.say(payload, Some((account_id, header.livemode)), Some(request_id)) {
            tracing::error!(request.id = %request_id, %error, "a follow-up was rejected by the books");
        }
    }

    fn append(&mut self, event: &Event, bytes: Bytes, position: u64) {
        // Authorized, it is held and needs no promise; ended without a charge, it needs nothing. A deduction that came before
        // its authorization still takes its room with that.
        if let Some(request_id) = event.header.request_id
            && let Some(hold) = self.state.books.holds.get(&request_id)
            && (hold.slots.authorization.is_some()
                || matches!(hold.slots.ending, Some(Ending::Released | Ending::Expired)))
        {
            self.unreserve(request_id);
        }
        self.state.head.position = position;
        self.written.events.push(EventRow::new(position, event, bytes));
    }

    pub(super) fn quarantine(&mut self, message: StreamMessage, header: Option<&Header>, reason: String) {
        tracing::error!(subject = %message.subject, stream.seq = message.stream_seq, %reason, "quarantined a message");
        let (emitter, seq) = (header.map(|header| header.emitter), header.map(|header| header.seq));
        if let (Some(emitter), Some(seq)) = (emitter, seq) {
            // Under a number that was appended before, the quarantine must not hide that event.
            self.state.quarantined.entry(emitter).or_default().insert(seq);
        }
        self.written.quarantined.push(Quarantined { message, emitter, seq, reason });
    }
}

/// Why a message cannot be what its event says, whatever that is.
fn misplaced(message: &StreamMessage, event: &Event) -> Option<&'static str> {
    let event_type = event.payload.type_name();
    if !FROM_GATEWAYS.contains(&event_type) {
        return Some("a type that only the ledger says");
    }
    (!addressed_to(&message.subject, &event.header, event_type)).then_some("the subject is not the event's")
}

/// `…events.<account>.<type>` must be what the envelope says: consumers filter by it.
fn addressed_to(subject: &str, header: &Header, event_type: &str) -> bool {
    let mut parts = subject.rsplitn(3, '.');
    let (last, account) = (parts.next(), parts.next());
    last == Some(event_type) && header.account_id.is_some_and(|id| account == Some(id.to_string().as_str()))
}
