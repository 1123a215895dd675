//! Lives of gateways: registered with their gates, heard, fenced.

mod gates;
mod heard;
mod keeper;
mod purge;

pub use gates::{close_gates, open_gates};
pub use heard::Heard;
pub use keeper::{BeginFence, CompleteFence, Expire, Keeper, tick};
pub use purge::purge;
use schemas::subject::GATES;
use uuid::Uuid;

/// What an open gate says.
pub const OPEN: &[u8] = b"open";
/// What a closed gate says, for ever.
pub const CLOSED: &[u8] = b"closed";

const ALL_CLOSED: u64 = u64::MAX >> (64 - GATES);

/// One life of one gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The process.
    pub process: Uuid,
    /// Of the stream that its gates are in.
    pub generation: u64,
    /// Stream sequences of its open gates.
    pub gates: Vec<u64>,
    /// How far its end is.
    pub state: LifeState,
    /// Bit k: the closing of gate k was read back.
    pub closed_gates: u64,
}

/// How far a life's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeState {
    /// It can be granted leases.
    Open,
    /// It is granted nothing more; its gates are being closed.
    Fencing,
    /// Over.
    Fenced,
}

impl LifeState {
    /// As it is written in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Fencing => "fencing",
            Self::Fenced => "fenced",
        }
    }

    /// From the table.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Fencing, Self::Fenced].into_iter().find(|state| state.name() == text)
    }
}

/// What reading a closed gate came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Others are still to come, or it was over before.
    Pending,
    /// It was the last one: everything of this life that can count has been read.
    Complete,
}

impl Life {
    /// The closing of gate `k` was read back.
    pub fn close_gate(&mut self, k: u16) -> Closing {
        let before = self.closed_gates;
        self.closed_gates |= 1 << k;
        let complete = self.closed_gates & ALL_CLOSED == ALL_CLOSED && before != self.closed_gates;
        if complete && self.state != LifeState::Fenced { Closing::Complete } else { Closing::Pending }
    }

    /// Gates whose closing was not read back yet.
    pub fn gates_to_close(&self) -> impl Iterator<Item = u16> + '_ {
        (0..GATES).filter(|k| self.closed_gates & (1 << k) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_complete_with_the_last_gate_and_only_once() {
        let mut life =
            Life { process: Uuid::nil(), generation: 1, gates: vec![], state: LifeState::Fencing, closed_gates: 0 };
        for k in (1..GATES).rev() {
            assert_eq!(life.close_gate(k), Closing::Pending);
            assert_eq!(life.close_gate(k), Closing::Pending);
        }
        assert_eq!(life.gates_to_close().collect::<Vec<_>>(), [0]);
        assert_eq!(life.close_gate(0), Closing::Complete);
        assert_eq!(life.close_gate(0), Closing::Pending);
    }
}
