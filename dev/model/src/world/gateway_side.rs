//! A gateway: production's lease, queue, gates and outbox; here is what its tasks do between two awaits.

use std::sync::Arc;
use std::time::Duration;

use gateway::till::account::{Account, Asked, Verdict};
use gateway::till::gates::Gates;
use gateway::till::outbox::Outbox;
use schemas::event::{
    AuthorizationReleased, CreditsDeducted, EventData, LeaseReturned, ReleaseReason, RequestAuthorized, RequestKind,
    UsageRecorded, UsageSource, UsageStatus,
};
use schemas::message::{Confirm, LeaseReply};
use schemas::money::{Nanocredits, Picodollars};
use schemas::rate::{Bounds, Breakdown, Usage};

use super::ledger_side::MODEL;
use super::said::{Said, emitter, request_id};
use super::stream::Stored;
use super::{Answer, Flight, Life, Owed, Phase, Purpose, World};
use crate::setup::{Mutant, Setup};

/// When all begins.
pub(super) const EARLY: Duration = Duration::ZERO;
/// When all patience is over.
const LATE: Duration = Duration::from_secs(2);

/// A life as the ledger has registered it.
pub(super) fn new_life(setup: &Setup, gateway: usize, generation: u64, expected: &[u64], dead: bool) -> Life {
    let mut gates = Gates::default();
    while gates.take().is_some() {}
    for k in 0..setup.gates {
        gates.give_back(k);
    }
    Life {
        gateway,
        generation,
        account: Account::default(),
        gates,
        outbox: Outbox::default(),
        expected: expected.to_vec(),
        next_seq: 1,
        over: false,
        confirmed: 0,
        question: None,
        reply: None,
        owed: Vec::new(),
        dead,
        forgotten: false,
    }
}

impl World {
    /// A request comes, or goes on in the next life.
    pub(super) fn arrive(&mut self, setup: &Setup, request: usize, gateway: usize) {
        let Some(life) = self.current(gateway) else { return };
        let asked = self.lives[life].account.ask(request_id(request), Nanocredits::new(setup.holds[request]), EARLY);
        let of = &mut self.requests[request];
        of.gateway = Some(gateway);
        of.life = Some(life);
        of.phase = match asked {
            Asked::Taken => Phase::Taken,
            Asked::Waits => Phase::Waiting,
            Asked::Closed => Phase::Fresh,
        };
        self.ask(life);
    }

    /// Asks the ledger for credits, if that is due.
    fn ask(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if of.account.begin_asking(false, EARLY) {
            let (need, want) = of.account.wish(EARLY);
            of.question = Some((of.account.lease.granted_total().get(), need.get(), want.get()));
        }
    }

    /// The ledger's answer comes.
    pub(super) fn hear_lease(&mut self, life: usize) {
        let of = &mut self.lives[life];
        let Some(reply) = of.reply.take() else { return };
        of.question = None;
        match reply
            .map(|(granted, unleased, available, held)| [granted, unleased, available, held].map(Nanocredits::new))
        {
            Some([granted_total, unleased, available, held]) => {
                let reply = LeaseReply { granted_total, unleased, available, held, position: 0 };
                let (verdicts, _) = of.account.answered(&reply, LATE);
                self.told(verdicts);
            }
            None => {
                self.end_life(life);
                self.not_answered(life);
            }
        }
    }

    /// No answer comes in time.
    pub(super) fn not_answered(&mut self, life: usize) {
        let of = &mut self.lives[life];
        of.question = None;
        of.reply = None;
        let verdicts = of.account.unanswered();
        self.told(verdicts);
    }

    fn told(&mut self, verdicts: Vec<(schemas::ids::RequestId, Verdict)>) {
        for (id, verdict) in verdicts {
            self.requests[super::request_of(id)].phase = match verdict {
                Verdict::Taken => Phase::Taken,
                Verdict::Closed => Phase::Fresh,
                Verdict::Insufficient(_) | Verdict::Held(_) | Verdict::NoAnswer => Phase::Refused,
            };
        }
    }

    /// It authorizes nothing more. What was not published goes on in the next life.
    pub(super) fn end_life(&mut self, life: usize) {
        let of = &mut self.lives[life];
        if of.over {
            return;
        }
        of.over = true;
        let verdicts = of.account.close();
        self.told(verdicts);
        for (index, request) in self.requests.iter_mut().enumerate() {
            if request.life == Some(life) && request.phase == Phase::Taken {
                request.phase = Phase::Fresh;
                self.lives[life].account.lease.put_back(request_id(index)).expect("nothing was published");
            }
        }
    }

    fn write<T: EventData>(&mut self, life: usize, request: Option<usize>, data: &T) -> Arc<Said> {
        let of = &mut self.lives[life];
        let said = Said::new(life, of.next_seq, request, data);
        of.next_seq += 1;
        of.outbox.keep(said.sealed.clone());
        said
    }

    fn sends(&mut self, life: usize, said: Arc<Said>, gate: Option<(u16, u64)>, stray: bool) {
        let gateway = &self.gateways[self.lives[life].gateway];
        let (generation, connection) = (gateway.generation, gateway.connection);
        self.flights.push(Flight { said, gate, generation, connection, stray });
        self.flights.sort_by_key(|flight| (flight.said.life, flight.said.sealed.seq, flight.gate, flight.connection));
    }

    /// The authorization leaves, through a gate.
    pub(super) fn publish(&mut self, setup: &Setup, request: usize) {
        let Some(life) = self.requests[request].life else { return };
        let Some(k) = self.lives[life].gates.take() else { return };
        let hold = Nanocredits::new(setup.holds[request]);
        let data = RequestAuthorized {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.to_owned(),
            fallbacks: Vec::new(),
            upstream: MODEL.to_owned(),
            streamed: false,
            hold,
            bounds: Bounds::default(),
            price_version: 1,
            gate: k,
        };
        self.lives[life].account.lease.published(request_id(request)).expect("it was taken");
        let said = self.write(life, Some(request), &data);
        self.requests[request].authorization = Some(said);
        self.requests[request].phase = Phase::Sent(k);
        self.through_gate(setup, request, k);
        if setup.breaks(Mutant::CalledBeforeAcknowledgement) {
            self.requests[request].called = true;
        }
    }

    fn through_gate(&mut self, setup: &Setup, request: usize, k: u16) {
        let of = &self.requests[request];
        let (Some(life), Some(said)) = (of.life, of.authorization.clone()) else { return };
        let expected = self.lives[life].expected[usize::from(k)];
        let gate = (!setup.breaks(Mutant::NoGate)).then_some((k, expected));
        self.sends(life, said, gate, false);
    }

    /// The same bytes again.
    pub(super) fn send_again(&mut self, setup: &Setup, request: usize) {
        let Phase::Sent(k) = self.requests[request].phase else { return };
        if setup.breaks(Mutant::UndecidedSentWithoutGate) {
            let of = &self.requests[request];
            if let (Some(life), Some(said)) = (of.life, of.authorization.clone()) {
                self.sends(life, said, None, false);
            }
            return;
        }
        self.through_gate(setup, request, k);
    }

    /// The stream takes a message or refuses it, under production's condition.
    pub(super) fn store(&mut self, index: usize, answered: bool) {
        let flight = self.flights.remove(index);
        let Some(stream) = self.stream.as_mut().filter(|stream| stream.generation == flight.generation) else { return };
        let life = flight.said.life;
        let open = flight.gate.is_none_or(|(k, expected)| stream.last_of_gate(life, k) == expected);
        if open {
            stream.store(Stored::Event(flight.said.clone()));
        } else {
            self.seen.refused_by_gate = true;
        }
        let listens = !flight.stray && !self.lives[life].dead;
        if answered && listens && self.gateways[self.lives[life].gateway].connection == flight.connection {
            self.answers.push(Answer { said: flight.said, connection: flight.connection, stored: open });
            self.answers.sort_by_key(|answer| (answer.said.life, answer.said.sealed.seq, answer.stored));
        }
    }

    /// The answer to an authorization comes.
    pub(super) fn acknowledge(&mut self, setup: &Setup, index: usize) {
        let answer = self.answers.remove(index);
        let (life, Some(request)) = (answer.said.life, answer.said.request) else { return };
        let Phase::Sent(k) = self.requests[request].phase else { return };
        let connection = self.gateways[self.lives[life].gateway].connection;
        let counts = self.lives[life].confirmed == connection && answer.connection == connection;
        if !answer.stored {
            if setup.breaks(Mutant::LifeGoesOnAfterItsFence) {
                let last = self.stream.as_ref().map_or(0, |stream| stream.last_of_gate(life, k));
                self.lives[life].expected[usize::from(k)] = last;
                return self.through_gate(setup, request, k);
            }
            self.end_life(life);
            return self.give_up(request);
        }
        if !counts || self.lives[life].over {
            return;
        }
        let era = self.era(life);
        let of = &mut self.lives[life];
        of.outbox.acknowledged(answer.said.sealed.seq, era, EARLY);
        of.account.lease.authorized(request_id(request)).expect("it was published");
        of.gates.give_back(k);
        // The provider is called in the same step: dying in between is the same as dying before.
        self.requests[request].phase = Phase::Called;
        self.requests[request].called = true;
        let authorization = self.ledger.books.holds.get(&request_id(request)).and_then(|hold| hold.slots.authorization);
        if authorization.is_some_and(|authorization| !authorization.counts) {
            self.broken = Some("what a provider is called for is set aside");
        }
    }

    /// Undecided or refused: released, whatever became of the authorization.
    pub(super) fn give_up(&mut self, request: usize) {
        let Phase::Sent(k) = self.requests[request].phase else { return };
        let (life, never_came) = self.of_authorization(request);
        self.release(request, Some((k, never_came)));
        self.lives[life].outbox.forget(never_came);
    }

    fn of_authorization(&self, request: usize) -> (usize, u64) {
        let said = self.requests[request].authorization.as_ref().expect("it was sent");
        (said.life, said.sealed.seq)
    }

    fn release(&mut self, request: usize, never_came: Option<(u16, u64)>) {
        let Some(life) = self.requests[request].life else { return };
        self.lives[life].account.lease.releasing(request_id(request)).expect("it was published");
        let data = AuthorizationReleased {
            reason: ReleaseReason::Undecided,
            never_came: never_came.map(|(_, seq)| seq),
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.to_owned(),
            streamed: false,
            error_message: String::new(),
            latency_ms: 0,
        };
        let said = self.write(life, Some(request), &data);
        self.requests[request].phase = Phase::Releasing;
        let purpose = Purpose::Releases(request, never_came.map(|(k, _)| k));
        self.lives[life].owed.push(Owed { said, purpose });
    }

    /// The provider failed before it answered anything.
    pub(super) fn fail(&mut self, request: usize) {
        self.requests[request].cost = Some(0);
        self.release(request, None);
    }

    /// The provider has answered and bills so much.
    pub(super) fn finish(&mut self, setup: &Setup, request: usize, cost: i64) {
        let Some(life) = self.requests[request].life else { return };
        self.requests[request].cost = Some(cost);
        let worth = Nanocredits::new(cost);
        let charge = self.lives[life].account.lease.settling(request_id(request), worth).expect("it was authorized");
        let nothing = Picodollars::ZERO;
        let usage = Usage { output_tokens: cost.unsigned_abs(), ..Usage::default() };
        let breakdown = Breakdown {
            input_usd: nothing,
            cached_usd: nothing,
            cache_write_usd: nothing,
            output_usd: nothing,
            images_usd: nothing,
            searches_usd: nothing,
            tier_min_input_tokens: 0,
            margin_bps: 0,
        };
        let used = UsageRecorded {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.to_owned(),
            served_model: None,
            provider: MODEL.to_owned(),
            upstream: MODEL.to_owned(),
            provider_request_id: None,
            usage,
            source: UsageSource::Provider,
            status: UsageStatus::Success,
            error: None,
            latency_ms: 0,
            ttft_ms: None,
            streamed: false,
            price_version: 1,
            cost_usd: nothing,
            provider_cost_usd: None,
            charge: worth,
            breakdown,
        };
        let used = self.write(life, Some(request), &used);
        let deducted = self.write(life, Some(request), &CreditsDeducted { amount: charge });
        let purpose = Purpose::Settles(request);
        self.lives[life].owed.extend([used, deducted].map(|said| Owed { said, purpose }));
        self.requests[request].phase = Phase::Settling(2);
        if setup.breaks(Mutant::RestUsedBeforeDeduction) {
            self.lives[life].account.lease.settled(request_id(request)).expect("it is settling");
            self.serve(life);
        }
    }

    fn serve(&mut self, life: usize) {
        let verdicts = self.lives[life].account.serve();
        self.told(verdicts);
    }

    /// Whether what is sent without a gate reaches a stream.
    pub(super) fn can_send(&self, life: usize, owed: &Owed) -> bool {
        let gateway = &self.gateways[self.lives[life].gateway];
        let there = self.stream.as_ref().is_some_and(|stream| stream.generation == gateway.generation);
        there && (owed.purpose != Purpose::Returns || self.lives[life].outbox.is_current(self.era(life)))
    }

    /// An owed event is stored, and acknowledged or not.
    pub(super) fn deliver(&mut self, setup: &Setup, life: usize, index: usize) {
        let owed = self.lives[life].owed.remove(index);
        if let Some(stream) = &mut self.stream {
            stream.store(Stored::Event(owed.said.clone()));
        }
        let era = self.era(life);
        self.lives[life].outbox.acknowledged(owed.said.sealed.seq, era, EARLY);
        self.delivered(setup, life, owed.purpose);
    }

    /// An owed event is under way for longer than its sender waits.
    pub(super) fn goes_astray(&mut self, life: usize, index: usize) {
        let said = self.lives[life].owed[index].said.clone();
        self.sends(life, said, None, true);
    }

    /// The stream or the ledger has it.
    pub(super) fn delivered(&mut self, setup: &Setup, life: usize, purpose: Purpose) {
        let of = &mut self.lives[life];
        match purpose {
            Purpose::Settles(request) => match self.requests[request].phase {
                Phase::Settling(1) => {
                    if !setup.breaks(Mutant::RestUsedBeforeDeduction) {
                        of.account.lease.settled(request_id(request)).expect("it is settling");
                    }
                    let cost = self.requests[request].cost.unwrap_or_default();
                    of.account.charged(Nanocredits::new(cost.min(setup.holds[request])), EARLY);
                    self.requests[request].phase = Phase::Done;
                    self.requests[request].answered = true;
                }
                _ => self.requests[request].phase = Phase::Settling(1),
            },
            Purpose::Releases(request, gate) => {
                of.account.lease.released(request_id(request)).expect("it is releasing");
                if let Some(k) = gate {
                    of.gates.give_back(k);
                }
                self.requests[request].phase = Phase::Done;
                self.seen.released = true;
            }
            Purpose::Returns => {}
        }
        self.serve(life);
    }

    /// What was acknowledged in an older era goes out again, the first of it.
    pub(super) fn say_again(&mut self, life: usize) {
        let era = self.era(life);
        if let Some(first) = self.lives[life].outbox.outdated(era).into_iter().next() {
            self.plainly(life, first);
            self.seen.said_again = true;
        }
    }

    /// What the ledger misses goes out again, the first of it.
    pub(super) fn say_missing(&mut self, life: usize) {
        let now = Duration::from_secs(1_000_000 * (1 + u64::from(u8::MAX - self.budget.repeats)));
        if let Some(first) = self.lives[life].outbox.missing(now, 1).into_iter().next() {
            self.plainly(life, first);
        }
    }

    fn plainly(&mut self, life: usize, sealed: gateway::till::outbox::Sealed) {
        let era = self.era(life);
        let seq = sealed.seq;
        let event = schemas::event::Event::decode(&sealed.bytes).expect("what was written can be read");
        let request = event.header.request_id.map(super::request_of);
        if let Some(stream) = &mut self.stream {
            stream.store(Stored::Event(Arc::new(Said { life, request, sealed, event })));
            self.lives[life].outbox.acknowledged(seq, era, EARLY);
        }
    }

    /// After a reconnect: are the gates still open?
    pub(super) fn confirm(&mut self, life: usize) {
        let question = Confirm { gateway: emitter(life), generation: self.lives[life].generation };
        let open = self.ledger.head.generation == question.generation
            && self.ledger.lives.get(&question.gateway).is_some_and(|life| life.state == ledger::life::LifeState::Open);
        if open {
            self.lives[life].confirmed = self.gateways[self.lives[life].gateway].connection;
        } else {
            self.end_life(life);
        }
    }

    /// What is free goes back to the account.
    pub(super) fn give_back(&mut self, life: usize) -> bool {
        let Some(returned_total) = self.lives[life].account.give_back(Nanocredits::MAX) else { return false };
        let said = self.write(life, None, &LeaseReturned { returned_total });
        self.lives[life].owed.push(Owed { said, purpose: Purpose::Returns });
        true
    }

    /// Over, and owes nothing: gives back the rest, then it is forgotten.
    pub(super) fn retire(&mut self, life: usize) {
        if !self.give_back(life) {
            self.lives[life].forgotten = true;
        }
    }

    /// A beacon is heard.
    pub(super) fn hear_beacon(&mut self, gateway: usize) {
        let generation = self.ledger.head.generation;
        self.gateways[gateway].generation = generation;
        if let Some(life) = self.current(gateway)
            && self.lives[life].generation < generation
        {
            self.end_life(life);
        }
    }

    /// The connection is made anew.
    pub(super) fn reconnect(&mut self, gateway: usize) {
        self.gateways[gateway].connection += 1;
        let lives = &self.lives;
        self.answers.retain(|answer| lives[answer.said.life].gateway != gateway);
    }

    /// The process dies; the next one begins with nothing.
    pub(super) fn crash(&mut self, gateway: usize) {
        for life in self.lives.iter_mut().filter(|life| life.gateway == gateway && !life.dead) {
            life.dead = true;
            life.over = true;
            life.question = None;
            life.reply = None;
            life.owed.clear();
            life.outbox = Outbox::default();
        }
        let open = |phase| !matches!(phase, Phase::Done | Phase::Refused | Phase::Orphaned);
        for request in
            self.requests.iter_mut().filter(|request| request.gateway == Some(gateway) && open(request.phase))
        {
            request.phase = Phase::Orphaned;
        }
        let lives = &self.lives;
        self.answers.retain(|answer| lives[answer.said.life].gateway != gateway);
        self.excuse();
    }
}
