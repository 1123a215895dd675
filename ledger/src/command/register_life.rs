use schemas::ids::EmitterId;
use schemas::message::RefusalCode;
use uuid::Uuid;

use super::refusal;
use crate::append::{Batch, Command, Outcome, Touched, answer};
use crate::life::{Life, LifeState};

/// Puts a life on record whose gates are open. Only then is the gateway told their sequences.
pub struct RegisterLife {
    /// The life.
    pub gateway: EmitterId,
    /// Its process.
    pub process: Uuid,
    /// Of the stream that the gates are in.
    pub generation: u64,
    /// Their stream sequences.
    pub gates: Vec<u64>,
}

impl Command for RegisterLife {
    fn touches(&self, touched: &mut Touched) {
        touched.emitters.insert(self.gateway);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        if batch.state.head.generation != self.generation {
            return Err(refusal(RefusalCode::Unavailable, "a new generation of the stream has begun"));
        }
        if batch.state.lives.contains_key(&self.gateway) || batch.state.books.emitters.contains_key(&self.gateway) {
            return Err(refusal(RefusalCode::ReferenceReused, "this id was used before: a life takes a fresh one"));
        }
        let life = Life {
            process: self.process,
            generation: self.generation,
            gates: self.gates.clone(),
            state: LifeState::Open,
            closed_gates: 0,
        };
        batch.state.lives.insert(self.gateway, life);
        batch.written.lives.insert(self.gateway);
        answer(&())
    }
}
