//! One batch: stream messages and commands become rows. Pure: no clock, no I/O; time and ids come in.

use std::collections::BTreeSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use schemas::books::{Applied, FollowUp, Note, Rejected, late_usage_reference};
use schemas::event::{
    AuthorizationExpired, CreditsAdjusted, Event, ExpiryReason, GatewayFenced, Header, Payload, Source, encode_payload,
};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::merkle::Grown;
use schemas::money::Nanocredits;
use schemas::subject::StreamSubject;

use super::message::StreamMessage;
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
    pub fn read(&mut self, message: StreamMessage, event: Option<Result<Event, String>>) {
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
            (StreamSubject::Event, Some(Err(reason))) => self.quarantine(message, None, reason),
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
        if let Applied::New { follow_up, note } = applied {
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
        if !from_gateways(&event.payload) {
            return self.quarantine(message, Some(&header), "a type that only the ledger says".to_owned());
        }
        if !addressed_to(&message.subject, &header, event.payload.type_name()) {
            return self.quarantine(message, Some(&header), "the subject is not the event's".to_owned());
        }
        if self.state.quarantined.get(&header.emitter).is_some_and(|seqs| seqs.contains(header.seq)) {
            return;
        }
        let position = self.state.head.position + 1;
        match self.state.books.apply(position, &event) {
            Ok(Applied::New { follow_up, note }) => {
                self.append(&event, message.payload, position);
                self.written.notes.extend(note.map(|note| (position, note)));
                if let Some(follow_up) = follow_up {
                    self.follow(&header, follow_up);
                }
            }
            Ok(Applied::Duplicate) => {
                self.written.repeats.push(Repeat { message, emitter: header.emitter, seq: header.seq });
            }
            Err(rejected) => self.quarantine(message, Some(&header), rejected.to_string()),
        }
    }

    fn follow(&mut self, header: &Header, follow_up: FollowUp) {
        let (Some(account_id), Some(request_id)) = (header.account_id, header.request_id) else { return };
        let payload = match follow_up {
            FollowUp::ExpireAtOnce => Payload::AuthorizationExpired(Box::new(AuthorizationExpired {
                reason: ExpiryReason::AuthorizedAfterFence,
            })),
            FollowUp::SettleLateUsage { due, lost } => {
                let unleased = self.state.books.accounts.get(&account_id).map_or(Nanocredits::ZERO, |a| a.unleased);
                let paid = due.min(unleased).min(self.left_of_cap(request_id).unwrap_or(Nanocredits::MAX));
                // Both are at most `due + lost`, which was checked when they were told apart.
                let loss = Nanocredits::new(lost.get() + (due.get() - paid.get()));
                Payload::CreditsAdjusted(Box::new(CreditsAdjusted {
                    amount: Nanocredits::new(-paid.get()),
                    loss,
                    reference: late_usage_reference(request_id),
                    by: "ledger".to_owned(),
                    why: "usage that came after its request had ended without a charge".to_owned(),
                }))
            }
        };
        if let Err(error) = self.say(payload, Some((account_id, header.livemode)), Some(request_id)) {
            tracing::error!(request.id = %request_id, %error, "a follow-up was rejected by the books");
        }
    }

    /// What the key of a request, if it has a cap, can still spend.
    fn left_of_cap(&self, request_id: RequestId) -> Option<Nanocredits> {
        let books = &self.state.books;
        let period = books.holds.get(&request_id)?.key_period?;
        let cap = books.keys.get(&period.api_key_id)?.restrictions.cap?;
        let spending = books.spending.get(&period).copied().unwrap_or_default();
        let promised = self.state.reservations.of_key(period.api_key_id).ok()?;
        Some([spending.charged, spending.held, promised].into_iter().fold(cap.credits, Nanocredits::minus_or_zero))
    }

    fn append(&mut self, event: &Event, bytes: Bytes, position: u64) {
        // Authorized, it is held and needs no promise; ended, it needs nothing.
        if let Some(request_id) = event.header.request_id
            && let Some(hold) = self.state.books.holds.get(&request_id)
            && (hold.slots.authorization.is_some() || hold.slots.ending.is_some())
        {
            self.unreserve(request_id);
        }
        self.state.head.position = position;
        self.written.events.push(EventRow {
            position,
            event_id: event.header.id,
            event_type: event.payload.type_name(),
            account_id: event.header.account_id.map(|id| id.0),
            request_id: event.header.request_id.map(|id| id.0),
            emitter: event.header.emitter,
            seq: event.header.seq,
            bytes,
        });
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

fn from_gateways(payload: &Payload) -> bool {
    matches!(
        payload,
        Payload::RequestAuthorized(_)
            | Payload::UsageRecorded(_)
            | Payload::CreditsDeducted(_)
            | Payload::AuthorizationReleased(_)
            | Payload::LeaseReturned(_)
    )
}

/// `…events.<account>.<type>` must be what the envelope says: consumers filter by it.
fn addressed_to(subject: &str, header: &Header, event_type: &str) -> bool {
    let mut parts = subject.rsplitn(3, '.');
    let (last, account) = (parts.next(), parts.next());
    last == Some(event_type) && header.account_id.is_some_and(|id| account == Some(id.to_string().as_str()))
}
