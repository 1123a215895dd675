use ledger::life::LifeState;

use super::World;
use crate::setup::Setup;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Action {
    Arrive { request: usize, gateway: usize },
    Grant { life: usize },
    HearGrant { life: usize },
    NoAnswer { life: usize },
    Publish { request: usize },
    Store { flight: usize, answered: bool },
    LoseMessage { flight: usize },
    Acknowledge { answer: usize },
    SendAgain { request: usize },
    GiveUp { request: usize },
    Finish { request: usize, cost: i64 },
    Fail { request: usize },
    Deliver { life: usize, owed: usize },
    GoAstray { life: usize, owed: usize },
    SayAgain { life: usize },
    SayMissing { life: usize },
    Confirm { life: usize },
    GiveBack { life: usize },
    Retire { life: usize },
    Tell { life: usize },
    Register { gateway: usize, heard: bool },
    Leave { gateway: usize },
    Crash { gateway: usize },
    Reconnect { gateway: usize },
    HearBeacon { gateway: usize },
    Read { heard: bool },
    BeginFence { life: usize },
    CloseGate { life: usize, k: u16 },
    CompleteFence { life: usize },
    PurgeGates { life: usize },
    Expire { request: usize },
    Restart,
    LoseStream { kept: Option<u64> },
    NextGeneration,
}

impl Action {
    /// Nothing that a good day has.
    pub fn goes_wrong(self) -> bool {
        match self {
            Self::Store { answered: heard, .. } | Self::Register { heard, .. } | Self::Read { heard } => !heard,
            Self::NoAnswer { .. }
            | Self::LoseMessage { .. }
            | Self::SendAgain { .. }
            | Self::GiveUp { .. }
            | Self::Fail { .. }
            | Self::GoAstray { .. }
            | Self::SayMissing { .. }
            | Self::GiveBack { .. }
            | Self::Crash { .. }
            | Self::Reconnect { .. }
            | Self::BeginFence { .. }
            | Self::PurgeGates { .. }
            | Self::Restart
            | Self::LoseStream { .. } => true,
            _ => false,
        }
    }
}

impl World {
    /// Does one thing.
    pub fn step(&mut self, setup: &Setup, action: Action) {
        match action {
            Action::Arrive { request, gateway } => self.arrive(setup, request, gateway),
            Action::Grant { life } => {
                if self.lives[life].reply.is_some() {
                    self.budget.lost_replies -= 1;
                }
                self.grant(life);
            }
            Action::HearGrant { life } => self.hear_lease(life),
            Action::NoAnswer { life } => {
                self.budget.lost_replies -= 1;
                self.not_answered(life);
            }
            Action::Publish { request } => self.publish(setup, request),
            Action::Store { flight, answered } => {
                self.budget.lost_acknowledgements -= u8::from(!answered);
                self.store(flight, answered);
            }
            Action::LoseMessage { flight } => {
                self.budget.lost_messages -= 1;
                self.flights.remove(flight);
            }
            Action::Acknowledge { answer } => self.acknowledge(setup, answer),
            Action::SendAgain { request } => {
                self.budget.repeats -= 1;
                self.send_again(setup, request);
            }
            Action::GiveUp { request } => {
                let over = self.requests[request].life.is_some_and(|life| self.lives[life].over);
                self.budget.impatience -= u8::from(!over && !self.is_stuck(request));
                self.give_up(request);
            }
            Action::Finish { request, cost } => self.finish(setup, request, cost),
            Action::Fail { request } => {
                self.budget.provider_failures -= 1;
                self.fail(request);
            }
            Action::Deliver { life, owed } => self.deliver(setup, life, owed),
            Action::GoAstray { life, owed } => {
                self.budget.lost_acknowledgements -= 1;
                self.goes_astray(life, owed);
            }
            Action::SayAgain { life } => self.say_again(life),
            Action::SayMissing { life } => {
                self.budget.repeats -= 1;
                self.say_missing(life);
            }
            Action::Confirm { life } => self.confirm(life),
            Action::GiveBack { life } => {
                self.budget.returns -= 1;
                self.give_back(life);
            }
            Action::Retire { life } => self.retire(life),
            Action::Tell { life } => self.tell(setup, life),
            Action::Register { gateway, heard } => {
                self.budget.lost_replies -= u8::from(!heard);
                self.register(setup, gateway, heard);
            }
            Action::Leave { gateway } => {
                self.gateways[gateway].leaving = true;
                if let Some(life) = self.current(gateway) {
                    self.end_life(life);
                }
            }
            Action::Crash { gateway } => {
                self.budget.crashes -= 1;
                self.crash(gateway);
            }
            Action::Reconnect { gateway } => {
                self.budget.reconnects -= 1;
                self.reconnect(gateway);
            }
            Action::HearBeacon { gateway } => self.hear_beacon(gateway),
            Action::Read { heard } => {
                self.budget.lost_words -= u8::from(!heard);
                self.read(setup, heard);
            }
            Action::BeginFence { life } => {
                let of = &self.lives[life];
                self.budget.fences -= u8::from(!of.dead && !of.forgotten);
                self.begin_fence(life);
            }
            Action::CloseGate { life, k } => self.close_gate(setup, life, k),
            Action::CompleteFence { life } => self.complete_fence(life),
            Action::PurgeGates { life } => {
                self.budget.purges -= 1;
                let below = self.ledger.head.stream_seq;
                if let Some(stream) = &mut self.stream {
                    stream.purge_gates(life, below);
                }
            }
            Action::Expire { request } => {
                self.budget.early_expiries -= u8::from(self.is_settling(request));
                self.expire(request);
            }
            Action::Restart => {
                self.budget.restarts -= 1;
                self.restart();
            }
            Action::LoseStream { kept } => {
                self.budget.losses -= 1;
                self.lose(kept);
            }
            Action::NextGeneration => self.next_generation(setup),
        }
    }

    /// Lives that the ledger may begin to fence, is fencing, or has fenced.
    pub(super) fn open_on_record(&self) -> impl Iterator<Item = (usize, LifeState, u64)> {
        self.on_record().into_iter()
    }
}
