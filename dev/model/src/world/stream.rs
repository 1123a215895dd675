//! JetStream, as far as it matters here: sequences, the last one of a gate's subject, and a comparison with it.

use std::sync::Arc;

use bytes::Bytes;
use ledger::append::StreamMessage;
use ledger::life::{CLOSED, OPEN};
use schemas::subject::Cell;

use super::said::{ACCOUNT, Said, emitter};

/// The stream of one generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// Which.
    pub generation: u64,
    /// In order; the first has sequence 1.
    pub messages: Vec<Stored>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Stored {
    /// The first.
    Birth,
    /// Of a gate.
    Gate {
        /// Whose.
        life: usize,
        /// Which.
        k: u16,
        /// What it says.
        closed: bool,
        /// It was taken out.
        purged: bool,
    },
    /// An event.
    Event(Arc<Said>),
}

impl Stream {
    /// A new one, with its first message.
    pub fn new(generation: u64) -> Self {
        Self { generation, messages: vec![Stored::Birth] }
    }

    /// The sequence of the last message.
    pub fn last(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Stores a message; its sequence.
    pub fn store(&mut self, message: Stored) -> u64 {
        self.messages.push(message);
        self.last()
    }

    /// The last sequence of a gate's subject, 0 if there is none.
    pub fn last_of_gate(&self, of: usize, gate: u16) -> u64 {
        let is_it = |message: &Stored| matches!(message, Stored::Gate { life, k, purged: false, .. } if *life == of && *k == gate);
        self.messages.iter().rposition(is_it).map_or(0, |index| index as u64 + 1)
    }

    /// The last word of a gate is `closed`.
    pub fn is_closed(&self, of: usize, gate: u16) -> bool {
        let last = self.last_of_gate(of, gate) as usize;
        last > 0 && matches!(self.messages[last - 1], Stored::Gate { closed: true, .. })
    }

    /// Takes the gates of a life out, below a sequence.
    pub fn purge_gates(&mut self, of: usize, below: u64) {
        for message in self.messages.iter_mut().take(below.saturating_sub(1) as usize) {
            if let Stored::Gate { life, purged, .. } = message
                && *life == of
            {
                *purged = true;
            }
        }
    }

    /// Whether an event is stored after a place.
    pub fn has_after(&self, place: u64, said: &Said) -> bool {
        self.messages
            .iter()
            .skip(place as usize)
            .any(|message| matches!(message, Stored::Event(event) if **event == *said))
    }

    /// As the ledger's reader hands it over.
    pub fn message(&self, cell: &Cell, sequence: u64, recovered: bool) -> StreamMessage {
        let (generation, index) = (self.generation, sequence as usize - 1);
        let (subject, payload) = match &self.messages[index] {
            Stored::Birth => (cell.birth(generation), Bytes::from_static(b"birth")),
            Stored::Gate { life, k, closed, .. } => {
                let payload = if *closed { CLOSED } else { OPEN };
                (cell.gate(generation, emitter(*life), *k), Bytes::from_static(payload))
            }
            Stored::Event(said) => (cell.event(generation, ACCOUNT, said.sealed.event_type), said.sealed.bytes.clone()),
        };
        StreamMessage { generation, stream_seq: sequence, subject, payload, recovered }
    }
}
