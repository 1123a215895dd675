//! A small closed world: gateways, one ledger, one stream, one provider, the credits of one account. What decides in it
//! is the code that runs in production; what is written here is only who hears what, and when.
//!
//! | part | is production's | is this world's |
//! |---|---|---|
//! | ledger | `append::{State, Batch}`, the commands, `schemas::books` | which message it reads next, when it dies |
//! | gateway | `till::{account, lease, gates, outbox, spending}`, the events' bytes | what `till::{authorize, open_request, keep, lives}` do between two awaits |
//! | stream | the contents of its messages | sequences, the comparison with a gate's last one, losses |
//!
//! There is no clock. Whatever may happen late may happen at any time.

mod actions;
mod digest;
mod gateway_side;
mod ledger_side;
mod said;
mod step;
mod stream;

use std::sync::Arc;

use gateway::till::account::Account;
use gateway::till::gates::Gates;
use gateway::till::outbox::{Era, Outbox};
use ledger::append::State;
use schemas::subject::Cell;

pub use said::{ACCOUNT, Said, emitter, life_of, request_id, request_of};
pub use step::Action;
pub use stream::{Stored, Stream};

use crate::setup::{Faults, Setup};

/// All of it at one moment.
#[derive(Clone)]
pub struct World {
    /// What may still go wrong.
    pub budget: Faults,
    /// What the ledger has committed.
    pub ledger: Arc<State>,
    /// Of the ledger's state, for comparing worlds.
    pub ledger_digest: u64,
    /// None after NATS lost its disk.
    pub stream: Option<Stream>,
    /// A stream was lost once: from then on the ledger looks whether it is still the one that it knows.
    pub suspicious: bool,
    /// Processes.
    pub gateways: Vec<Gateway>,
    /// Lives, in the order in which they began.
    pub lives: Vec<Life>,
    /// In the order in which they may come.
    pub requests: Vec<Request>,
    /// On their way to the stream.
    pub flights: Vec<Flight>,
    /// On their way back: answers to authorizations.
    pub answers: Vec<Answer>,
    /// Acknowledged events that the stream lost before the ledger read them.
    pub lost: Vec<Arc<Said>>,
    /// Read, but held back (by a mutant only).
    pub parked: Vec<Arc<Said>>,
    /// What must never happen and did.
    pub broken: Option<&'static str>,
    /// What did happen, so that it can be seen that it is reached.
    pub seen: Seen,
}

/// A gateway's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Counted up with each connection.
    pub connection: u64,
    /// The newest that it heard of.
    pub generation: u64,
    /// It takes no requests any more.
    pub leaving: bool,
}

/// One life of a gateway.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Life {
    /// Whose.
    pub gateway: usize,
    /// Of the stream that its gates are in.
    pub generation: u64,
    /// Production's.
    pub account: Account,
    /// Production's.
    pub gates: Gates,
    /// Production's.
    pub outbox: Outbox,
    /// What each gate expects.
    pub expected: Vec<u64>,
    /// Next number to be used.
    pub next_seq: u64,
    /// It authorizes nothing more.
    pub over: bool,
    /// Connection for which the gates are confirmed.
    pub confirmed: u64,
    /// What it asked the ledger: known, need, want.
    pub question: Option<(i64, i64, i64)>,
    /// The ledger's answer on its way: granted, unleased, available, held; or that it is granted nothing any more.
    pub reply: Option<Option<(i64, i64, i64, i64)>>,
    /// Sent without a gate until acknowledged.
    pub owed: Vec<Owed>,
    /// Its process is dead, or never heard that it was registered.
    pub dead: bool,
    /// It owes nothing any longer.
    pub forgotten: bool,
}

/// An event that is sent until it is acknowledged.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Owed {
    /// The event.
    pub said: Arc<Said>,
    /// What its acknowledgement changes.
    pub purpose: Purpose,
}

/// What an acknowledgement changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// `UsageRecorded` or `CreditsDeducted` of a request: with both it is settled.
    Settles(usize),
    /// `AuthorizationReleased`, which frees this gate.
    Releases(usize, Option<u16>),
    /// `LeaseReturned`.
    Returns,
}

/// A client's request.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Request {
    /// How far it is.
    pub phase: Phase,
    /// Who serves it.
    pub gateway: Option<usize>,
    /// In which life.
    pub life: Option<usize>,
    /// Under which number it was authorized.
    pub authorization: Option<Arc<Said>>,
    /// The provider was called.
    pub called: bool,
    /// What the provider bills, once that is known.
    pub cost: Option<i64>,
    /// Both events were acknowledged: the client has its complete answer.
    pub answered: bool,
    /// NATS lost its disk and the gateway died or was given up too, which nothing here protects against.
    pub excused: bool,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not come yet, or to be served by the next life.
    Fresh,
    /// It waits for credits.
    Waiting,
    /// Its hold is taken.
    Taken,
    /// Its authorization is under way through this gate.
    Sent(u16),
    /// The provider works.
    Called,
    /// So many of its two last events are not acknowledged.
    Settling(u8),
    /// Its release is not acknowledged.
    Releasing,
    /// Settled or released.
    Done,
    /// Refused for lack of credits or of an answer.
    Refused,
    /// Its gateway died.
    Orphaned,
}

/// A message on its way to the stream.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Flight {
    /// The event.
    pub said: Arc<Said>,
    /// Its condition: gate and expected sequence.
    pub gate: Option<(u16, u64)>,
    /// Of the stream that it is sent to.
    pub generation: u64,
    /// Over which it was sent.
    pub connection: u64,
    /// Nobody waits for its answer.
    pub stray: bool,
}

/// An answer to an authorization on its way back.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Answer {
    /// The event.
    pub said: Arc<Said>,
    /// Over which it comes.
    pub connection: u64,
    /// Stored; else its gate was closed.
    pub stored: bool,
}

/// What was reached at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Seen {
    pub refused_by_gate: bool,
    pub reclaimed: bool,
    pub authorized_after_fence: bool,
    pub late_usage: bool,
    pub expired: bool,
    pub repeat_dropped: bool,
    pub released: bool,
    pub new_generation: bool,
    pub said_again: bool,
}

impl Seen {
    /// Adds what another has seen.
    pub fn and(&mut self, other: &Self) {
        self.refused_by_gate |= other.refused_by_gate;
        self.reclaimed |= other.reclaimed;
        self.authorized_after_fence |= other.authorized_after_fence;
        self.late_usage |= other.late_usage;
        self.expired |= other.expired;
        self.repeat_dropped |= other.repeat_dropped;
        self.released |= other.released;
        self.new_generation |= other.new_generation;
        self.said_again |= other.said_again;
    }
}

impl World {
    /// A world in which all gateways are registered and nothing has been asked yet.
    pub fn new(setup: &Setup) -> Self {
        let gateway = Gateway { connection: 1, generation: 1, leaving: false };
        let request = Request {
            phase: Phase::Fresh,
            gateway: None,
            life: None,
            authorization: None,
            called: false,
            cost: None,
            answered: false,
            excused: false,
        };
        let mut world = Self {
            budget: setup.faults,
            ledger: Arc::default(),
            ledger_digest: 0,
            stream: None,
            suspicious: false,
            gateways: vec![gateway; setup.gateways],
            lives: Vec::new(),
            requests: vec![request; setup.holds.len()],
            flights: Vec::new(),
            answers: Vec::new(),
            lost: Vec::new(),
            parked: Vec::new(),
            broken: None,
            seen: Seen::default(),
        };
        world.found(setup);
        for gateway in 0..setup.gateways {
            world.register(setup, gateway, true);
        }
        world
    }

    /// Names of subjects.
    pub fn cell() -> Cell {
        Cell::new("model").expect("a name")
    }

    /// The life of a gateway that authorizes.
    pub fn current(&self, gateway: usize) -> Option<usize> {
        self.lives.iter().position(|life| life.gateway == gateway && !life.over && !life.dead)
    }

    /// What an acknowledgement that a life hears now is worth.
    pub fn era(&self, life: usize) -> Era {
        let gateway = &self.gateways[self.lives[life].gateway];
        Era { generation: gateway.generation, connection: gateway.connection }
    }

    /// The ledger has read all that is in the stream.
    pub fn caught_up(&self) -> bool {
        self.stream.as_ref().is_none_or(|stream| stream.last() <= self.ledger.head.stream_seq) && self.knows_stream()
    }

    /// The ledger has ended a life.
    pub fn is_fenced(&self, life: usize) -> bool {
        self.ledger.books.emitters.get(&emitter(life)).is_some_and(|emitter| emitter.fenced)
    }

    /// Requests that will say something more in a life.
    pub fn running(&self, life: usize) -> bool {
        self.requests.iter().any(|request| {
            let open = matches!(
                request.phase,
                Phase::Taken | Phase::Sent(_) | Phase::Called | Phase::Settling(_) | Phase::Releasing
            );
            open && request.life == Some(life)
        })
    }

    /// Nothing is under way, all lives are over, every hold has ended.
    pub fn is_quiet(&self) -> bool {
        self.flights.is_empty()
            && self.answers.is_empty()
            && self.caught_up()
            && self.ledger.lives.is_empty()
            && self.lives.iter().all(|life| life.dead || life.forgotten)
            && !self
                .ledger
                .books
                .holds
                .values()
                .any(|hold| hold.slots.authorization.is_some() && !hold.slots.has_ended())
    }

    /// Quiet, and nobody is left who could begin anything.
    pub fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.gateways.iter().all(|gateway| gateway.leaving)
    }
}
