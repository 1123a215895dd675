//! The ledger: production's `Batch` on production's `State`; here is only what it reads when.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledger::append::{Batch, Command, State, StreamMessage};
use ledger::command::{GrantLease, RegisterLife};
use ledger::life::{BeginFence, CompleteFence, Expire, LifeState};
use ledger::stream::NextGeneration;
use schemas::books::{Ending, Note};
use schemas::event::{AccountOpened, Payload, PriceBookPublished};
use schemas::message::{AddCredits, Appended, LeaseReply, LeaseRequest};
use schemas::money::{Nanocredits, PerMillion};
use schemas::price_book::{Kind, Model, PriceBook, Prices, Status};
use schemas::tier::Tier;
use uuid::Uuid;

use super::said::{ACCOUNT, NOW, Said, emitter, ledger, life_of, request_id, request_of};
use super::stream::{Stored, Stream};
use super::{Purpose, World};
use crate::setup::{Mutant, Setup};

/// The one model: an output token is charged one smallest unit.
pub(super) const MODEL: &str = "one";

fn prices() -> PriceBook {
    let prices = Prices { input: Some(PerMillion::ZERO), output: Some(PerMillion::new(10)), ..Prices::default() };
    let model = Model {
        id: MODEL.to_owned(),
        name: MODEL.to_owned(),
        provider: MODEL.to_owned(),
        kind: Kind::Language,
        capabilities: Vec::new(),
        context_window: None,
        max_output_tokens: None,
        prices,
        per_image: None,
        tiers: Vec::new(),
        web_search_per_1k: None,
        released: None,
        status: Status::Active,
        margin_bps: None,
    };
    PriceBook {
        version: 1,
        default_margin_bps: 0,
        allowances: Default::default(),
        models: BTreeMap::from([(MODEL.to_owned(), model)]),
    }
}

impl World {
    /// A batch, committed.
    fn commit<T>(&mut self, work: impl FnOnce(&mut Batch<'_>) -> T) -> T {
        let state = Arc::make_mut(&mut self.ledger);
        let mut batch = Batch::new(state, NOW, Uuid::nil);
        let outcome = work(&mut batch);
        let written = batch.written;
        state.books.changed = Default::default();
        // As the writer does; a life that is over is never looked at again.
        state.lives.retain(|_, life| life.state != LifeState::Fenced);
        if !written.quarantined.is_empty() && !self.requests.iter().any(|request| request.excused) {
            self.broken = Some("the books refuse nothing that a gateway says");
        }
        self.seen.repeat_dropped |= !written.repeats.is_empty();
        self.seen.late_usage |= written.notes.iter().any(|(_, note)| *note == Note::LateUsage);
        self.seen.authorized_after_fence |= written.notes.iter().any(|(_, note)| *note == Note::AuthorizedAfterFence);
        self.ledger_digest = super::digest::of_ledger(&self.ledger);
        outcome
    }

    /// The first stream, prices, one account with credits.
    pub(super) fn found(&mut self, setup: &Setup) {
        let mut state = State::default();
        state.own.emitter = ledger(0);
        self.ledger = Arc::new(state);
        self.commit(|batch| {
            let (by, why) = (String::new(), String::new());
            let book = PriceBookPublished { book: prices(), by: by.clone(), why: why.clone() };
            batch.say(Payload::PriceBookPublished(Box::new(book)), None, None).expect("prices");
            let opened = AccountOpened { tier: Tier::Bench, counterpart: ACCOUNT, reference: None, by, why };
            let account = Some((ACCOUNT, true));
            batch.say(Payload::AccountOpened(Box::new(opened)), account, None).expect("an account");
            let credits = AddCredits {
                account_id: ACCOUNT,
                amount: Nanocredits::new(setup.bought),
                reference: "all".to_owned(),
                by: String::new(),
                why: String::new(),
            };
            credits.decide(batch).expect("credits");
            NextGeneration { after: 0 }.decide(batch).expect("a generation");
        });
        self.stream = Some(Stream::new(1));
        self.read(setup, true);
    }

    /// Whether the stream still is the one that was read: by the message at the applied sequence, as production does.
    pub fn knows_stream(&self) -> bool {
        if !self.suspicious {
            return true;
        }
        let Some(stream) = &self.stream else { return false };
        let place = self.ledger.head.stream_seq;
        stream.generation == self.ledger.head.generation
            && (1..=stream.last()).contains(&place)
            && Some(stream.message(&Self::cell(), place, false).anchor()) == self.ledger.head.anchor
    }

    /// Reads the next message. `heard`: the gateway gets the word of it.
    pub(super) fn read(&mut self, setup: &Setup, heard: bool) {
        let Some(stream) = &self.stream else { return };
        let sequence = self.ledger.head.stream_seq + 1;
        let message = stream.message(&Self::cell(), sequence, false);
        match stream.messages[sequence as usize - 1].clone() {
            Stored::Event(said) => self.take(setup, message, said, heard),
            Stored::Birth => self.commit(|batch| batch.read(message, None)),
            Stored::Gate { life, .. } => {
                let before = self.is_fenced(life);
                self.commit(|batch| batch.read(message, None));
                if !before && self.is_fenced(life) {
                    self.reclaimed();
                    self.unpark(setup);
                }
            }
        }
    }

    fn take(&mut self, setup: &Setup, message: StreamMessage, said: Arc<Said>, heard: bool) {
        let through = self.ledger.accounted(said.event.header.emitter).through();
        if setup.breaks(Mutant::HolesHoldBack) && said.sealed.seq > through + 1 {
            // Its place is passed, by a message that moves nothing else; it is applied when the hole closes.
            let subject = Self::cell().birth(message.generation);
            self.commit(|batch| batch.read(StreamMessage { subject, ..message }, None));
            return self.parked.push(said);
        }
        self.apply(setup, message, &said);
        self.unpark(setup);
        if heard {
            self.tell(setup, said.life);
        }
    }

    /// What was held back and follows a hole that is closed.
    fn unpark(&mut self, setup: &Setup) {
        while let Some(next) = self
            .parked
            .iter()
            .position(|parked| parked.sealed.seq <= self.ledger.accounted(parked.event.header.emitter).through() + 1)
        {
            let parked = self.parked.remove(next);
            let subject = Self::cell().event(1, ACCOUNT, parked.sealed.event_type);
            let payload = parked.sealed.bytes.clone();
            let message = StreamMessage { generation: 1, stream_seq: 0, subject, payload, recovered: true };
            self.apply(setup, message, &parked);
        }
    }

    fn apply(&mut self, setup: &Setup, message: StreamMessage, said: &Arc<Said>) {
        let event = said.event.clone();
        let header = event.header;
        let fresh = self.ledger.books.emitters.get(&header.emitter).is_none_or(|e| !e.seen.contains(header.seq));
        let lease_key = (header.emitter, ACCOUNT);
        let is_usage = matches!(event.payload, Payload::UsageRecorded(_));
        let is_return = matches!(event.payload, Payload::LeaseReturned(_));
        self.commit(|batch| {
            if setup.breaks(Mutant::UsageAfterDeductionIsLate) && is_usage {
                let waits = header.request_id.and_then(|id| batch.state.books.holds.get(&id)).is_some_and(|hold| {
                    matches!(hold.slots.ending, Some(Ending::Deducted(_))) && hold.slots.charged.is_none()
                });
                if waits && fresh {
                    expire(batch, header.request_id.map(request_of).unwrap_or_default());
                }
            }
            if setup.breaks(Mutant::EventsAppliedTwice) && !fresh {
                if let Some(emitter) = batch.state.books.emitters.get_mut(&header.emitter) {
                    emitter.seen.remove(header.seq);
                }
                // Ended requests are forgotten, and nothing keeps a repeat from beginning them anew.
                batch.state.books.holds.retain(|_, hold| !hold.slots.has_ended());
            }
            let uncounted = setup.breaks(Mutant::ReturnCountedAfterFence) && is_return;
            let closed = batch.state.books.leases.get(&lease_key).is_some_and(|lease| lease.closed);
            if uncounted && closed {
                set_closed(batch.state, false, header.emitter);
            }
            batch.read(message, Some(Ok(event)));
            if uncounted && closed {
                set_closed(batch.state, true, header.emitter);
            }
            if setup.breaks(Mutant::ChargeNotCapped) {
                charge_all(batch.state, said.request);
            }
        });
        if said.authorizes() && fresh {
            self.counted(said);
        }
    }

    /// An authorization was read: if the provider was called for it, it must count.
    fn counted(&mut self, said: &Said) {
        let Some(request) = said.request else { return };
        let of = &self.requests[request];
        let counts = self
            .ledger
            .books
            .holds
            .get(&request_id(request))
            .is_some_and(|hold| hold.slots.authorization.is_some_and(|authorization| authorization.counts));
        if of.called && !of.excused && !counts {
            self.broken = Some("what a provider is called for is set aside");
        }
    }

    /// An emitter is told how far it is appended, if it is there.
    pub(super) fn tell(&mut self, setup: &Setup, life: usize) {
        let forgets = setup.breaks(Mutant::NamedAsMissingIsForgotten);
        let name = emitter(life);
        let appended = if forgets { self.ledger.accounted(name) } else { self.ledger.appended(name) };
        let through = appended.through();
        let beyond = appended.ranges().iter().copied().filter(|(start, _)| *start > through).collect();
        let word = Appended { through, beyond, position: 0 };
        let of = &mut self.lives[life];
        if of.dead || of.forgotten {
            return;
        }
        of.outbox.appended(word.through, &word.beyond, super::gateway_side::EARLY);
        let appended: Vec<_> = of.owed.iter().filter(|owed| !of.outbox.keeps(owed.said.sealed.seq)).cloned().collect();
        of.owed.retain(|owed| of.outbox.keeps(owed.said.sealed.seq));
        for owed in appended {
            if owed.purpose != Purpose::Returns {
                self.delivered(setup, life, owed.purpose);
            }
        }
    }

    /// A life was ended: what the stream lost of it before can come too late from now on.
    fn reclaimed(&mut self) {
        self.seen.reclaimed = true;
        self.excuse();
    }

    /// Requests of which the stream lost something that nobody can say again in time.
    pub(super) fn excuse(&mut self) {
        let state = self.ledger.clone();
        self.lost.retain(|said| !state.appended(emitter(said.life)).contains(said.sealed.seq));
        // Of a stream that is given up all is read.
        let place = if self.knows_stream() { state.head.stream_seq } else { 0 };
        for said in self.lost.clone() {
            // What a life authorized is of no use after its fence.
            let too_late = self.is_fenced(said.life) && said.authorizes();
            let comes = self.stream.as_ref().is_some_and(|stream| stream.has_after(place, &said));
            let silent = self.lives[said.life].dead && !comes;
            if let (true, Some(request)) = (too_late || silent, said.request) {
                self.requests[request].excused = true;
            }
        }
    }

    /// Opens gates, puts the life on record, and answers when all before is read.
    pub(super) fn register(&mut self, setup: &Setup, gateway: usize, heard: bool) {
        let life = self.lives.len();
        let stream = self.stream.as_mut().expect("there is a stream");
        let generation = stream.generation;
        let gates: Vec<u64> = (0..setup.gates)
            .map(|k| {
                if setup.breaks(Mutant::GateExpectsZero) {
                    return 0;
                }
                stream.store(Stored::Gate { life, k, closed: false, purged: false })
            })
            .collect();
        self.lives.push(super::gateway_side::new_life(setup, gateway, generation, &gates, !heard));
        let command = RegisterLife { gateway: emitter(life), process: Uuid::nil(), generation, gates };
        self.commit(|batch| {
            command.decide(batch).expect("a fresh name");
            if let Some(life) = batch.state.lives.get_mut(&emitter(life)) {
                // Nothing ever goes through the others.
                life.closed_gates = u64::MAX.checked_shl(setup.gates.into()).unwrap_or(0);
            }
        });
        while !self.caught_up() {
            self.read(setup, true);
        }
        let process = &mut self.gateways[gateway];
        process.generation = generation;
        self.lives[life].confirmed = process.connection;
    }

    /// The ledger answers a question.
    pub(super) fn grant(&mut self, life: usize) {
        let Some((known, need, want)) = self.lives[life].question else { return };
        let [granted_total, need, want] = [known, need, want].map(Nanocredits::new);
        let ask = LeaseRequest { gateway: emitter(life), account_id: ACCOUNT, granted_total, need, want };
        let outcome = self.commit(|batch| GrantLease(ask).decide(batch));
        self.lives[life].reply = Some(outcome.ok().map(|bytes| {
            let reply: LeaseReply = serde_json::from_slice(&bytes).expect("an answer");
            (reply.granted_total.get(), reply.unleased.get(), reply.available.get(), reply.held.get())
        }));
    }

    /// From here on the life is granted nothing.
    pub(super) fn begin_fence(&mut self, life: usize) {
        self.commit(|batch| BeginFence { gateway: emitter(life) }.decide(batch)).expect("it never refuses");
    }

    /// Writes the next `closed`.
    pub(super) fn close_gate(&mut self, setup: &Setup, life: usize, k: u16) {
        let stream = self.stream.as_mut().expect("there is a stream");
        stream.store(Stored::Gate { life, k, closed: true, purged: false });
        if setup.breaks(Mutant::ReclaimBeforeReadBack) && k + 1 == setup.gates && !self.is_fenced(life) {
            self.commit(|batch| batch.complete_fence(emitter(life))).expect("it is not fenced yet");
            self.reclaimed();
        }
    }

    /// The next gate of a life that is to be closed and is not closed in the stream.
    pub(super) fn gate_to_close(&self, life: usize) -> Option<u16> {
        let on_record = self.ledger.lives.get(&emitter(life))?;
        let stream = self.stream.as_ref().filter(|stream| stream.generation == on_record.generation)?;
        let closing = on_record.state == LifeState::Fencing;
        on_record.gates_to_close().find(|k| closing && !stream.is_closed(life, *k))
    }

    /// Ends a life whose stream was given up.
    pub(super) fn complete_fence(&mut self, life: usize) {
        let outcome = self.commit(|batch| CompleteFence { gateway: emitter(life) }.decide(batch));
        if outcome.is_err() {
            self.broken = Some("a fence can be completed");
        }
        self.reclaimed();
    }

    /// Ends a hold of a life that is over.
    pub(super) fn expire(&mut self, request: usize) {
        self.commit(|batch| expire(batch, request));
        self.seen.expired = true;
    }

    /// A new process takes over.
    pub(super) fn restart(&mut self) {
        let state = Arc::make_mut(&mut self.ledger);
        state.head.epoch += 1;
        state.own.emitter = ledger(state.head.epoch);
        state.own.seq = 0;
    }

    /// NATS comes back with an older copy, or with nothing.
    pub(super) fn lose(&mut self, kept: Option<u64>) {
        let Some(stream) = &mut self.stream else { return };
        let gone = stream.messages.split_off(kept.unwrap_or(0) as usize);
        for message in gone {
            if let Stored::Event(said) = message
                && !self.ledger.appended(emitter(said.life)).contains(said.sealed.seq)
            {
                self.lost.push(said);
            }
        }
        if kept.is_none() {
            self.stream = None;
        }
        self.suspicious = true;
        // Nothing survives in the broken connections: see `docs/decisions/0002-gates.md`, the last assumption.
        self.flights.clear();
        self.answers.clear();
        for gateway in &mut self.gateways {
            gateway.connection += 1;
        }
        self.excuse();
    }

    /// Reads what is left of a lost stream, and opens the next generation.
    pub(super) fn next_generation(&mut self, setup: &Setup) {
        self.seen.new_generation = true;
        if setup.breaks(Mutant::StreamUnderItsOldName) {
            self.stream = Some(Stream::new(self.ledger.head.generation));
            self.suspicious = false;
            return;
        }
        if let Some(remains) = self.stream.take() {
            for sequence in 1..=remains.last() {
                let message = remains.message(&Self::cell(), sequence, true);
                match &remains.messages[sequence as usize - 1] {
                    Stored::Event(said) => self.take(setup, message, said.clone(), true),
                    Stored::Birth | Stored::Gate { .. } => self.commit(|batch| batch.read(message, None)),
                }
            }
        }
        let after = self.ledger.head.generation;
        self.commit(|batch| NextGeneration { after }.decide(batch)).expect("nobody else does it");
        self.stream = Some(Stream::new(after + 1));
        self.suspicious = false;
        self.read(setup, true);
        self.excuse();
    }

    /// Lives on the ledger's record, with their states.
    pub(super) fn on_record(&self) -> Vec<(usize, LifeState, u64)> {
        let mut lives: Vec<_> = self
            .ledger
            .lives
            .iter()
            .filter_map(|(emitter, life)| Some((life_of(*emitter)?, life.state, life.generation)))
            .collect();
        lives.sort_unstable_by_key(|(life, ..)| *life);
        lives
    }
}

fn expire(batch: &mut Batch<'_>, request: usize) {
    let expired = Expire { requests: vec![request_id(request)] }.decide(batch);
    debug_assert!(expired.is_ok(), "it never refuses");
}

fn set_closed(state: &mut State, closed: bool, gateway: schemas::ids::EmitterId) {
    if let Some(lease) = state.books.leases.get_mut(&(gateway, ACCOUNT)) {
        lease.closed = closed;
    }
}

/// What a charge that is not capped would have moved more.
fn charge_all(state: &mut State, request: Option<usize>) {
    let Some(hold) = request.and_then(|request| state.books.holds.get_mut(&request_id(request))) else { return };
    let (Some(usage), Some(charged), Some(gateway)) = (hold.slots.usage, hold.slots.charged, hold.gateway) else {
        return;
    };
    let more = usage.minus_or_zero(charged).get();
    hold.slots.charged = Some(usage);
    let add = |amount: &mut Nanocredits, more: i64| *amount = Nanocredits::new(amount.get() + more);
    if let (Some(lease), Some(account)) =
        (state.books.leases.get_mut(&(gateway, ACCOUNT)), state.books.accounts.get_mut(&ACCOUNT))
    {
        add(&mut lease.charged, more);
        add(&mut account.charged, more);
        add(if lease.closed { &mut account.unleased } else { &mut account.leased }, -more);
    }
}
