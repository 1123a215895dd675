//! What can happen next.

use ledger::life::LifeState;

use super::{Action, Phase, World};
use crate::setup::Setup;

/// So many of the stream's last messages can be missing in an older copy.
const OLDER: u64 = 4;

impl World {
    /// Everything that can happen now, in a fixed order.
    pub fn actions(&self, setup: &Setup, actions: &mut Vec<Action>) {
        self.requests_act(setup, actions);
        self.lives_act(actions);
        self.network_acts(actions);
        self.gateways_act(setup, actions);
        self.ledger_acts(actions);
    }

    fn requests_act(&self, setup: &Setup, actions: &mut Vec<Action>) {
        let first_fresh = self.requests.iter().position(|of| of.phase == Phase::Fresh && of.gateway.is_none());
        for (request, of) in self.requests.iter().enumerate() {
            match of.phase {
                Phase::Fresh if of.gateway.is_some() || first_fresh == Some(request) => {
                    for gateway in 0..self.gateways.len() {
                        let fits = of.gateway.is_none_or(|chosen| chosen == gateway) && !self.gateways[gateway].leaving;
                        if fits && self.current(gateway).is_some() {
                            actions.push(Action::Arrive { request, gateway });
                        }
                    }
                }
                Phase::Taken => {
                    let life = of.life.map(|life| &self.lives[life]);
                    if life.is_some_and(|life| life.gates.free() > 0 && self.is_confirmed(life.gateway, life.confirmed))
                    {
                        actions.push(Action::Publish { request });
                    }
                }
                Phase::Sent(_) => {
                    let life = of.life.map(|life| &self.lives[life]);
                    let over = life.is_some_and(|life| life.over);
                    let confirmed = life.is_some_and(|life| self.is_confirmed(life.gateway, life.confirmed));
                    if self.budget.repeats > 0 && !over && confirmed {
                        actions.push(Action::SendAgain { request });
                    }
                    if over || self.budget.impatience > 0 || self.is_stuck(request) {
                        actions.push(Action::GiveUp { request });
                    }
                }
                Phase::Called => {
                    actions.extend(setup.costs.iter().map(|cost| Action::Finish { request, cost: *cost }));
                    if self.budget.provider_failures > 0 {
                        actions.push(Action::Fail { request });
                    }
                }
                _ => {}
            }
        }
    }

    /// An authorization of which nothing is under way any more: its sender will give it up.
    pub(super) fn is_stuck(&self, request: usize) -> bool {
        let flies = self.flights.iter().any(|flight| flight.said.request == Some(request) && !flight.stray);
        let answered = self.answers.iter().any(|answer| answer.said.request == Some(request));
        !flies && !answered
    }

    fn is_confirmed(&self, gateway: usize, confirmed: u64) -> bool {
        self.gateways[gateway].connection == confirmed
    }

    fn lives_act(&self, actions: &mut Vec<Action>) {
        for (life, of) in self.lives.iter().enumerate().filter(|(_, of)| !of.dead && !of.forgotten) {
            if of.question.is_some() && (of.reply.is_none() || self.budget.lost_replies > 0) {
                actions.push(Action::Grant { life });
            }
            if of.reply.is_some() {
                actions.push(Action::HearGrant { life });
            }
            if of.question.is_some() && self.budget.lost_replies > 0 {
                actions.push(Action::NoAnswer { life });
            }
            for (index, owed) in of.owed.iter().enumerate() {
                if self.can_send(life, owed) {
                    actions.push(Action::Deliver { life, owed: index });
                    if self.budget.lost_acknowledgements > 0 {
                        actions.push(Action::GoAstray { life, owed: index });
                    }
                }
            }
            let gateway = &self.gateways[of.gateway];
            let reachable = self.stream.as_ref().is_some_and(|stream| stream.generation == gateway.generation);
            let current = of.outbox.is_current(self.era(life));
            if reachable && !current {
                actions.push(Action::SayAgain { life });
            }
            if reachable && current && !of.over && of.confirmed != gateway.connection && self.knows_stream() {
                actions.push(Action::Confirm { life });
            }
            if reachable
                && self.budget.repeats > 0
                && !of.outbox.clone().missing(std::time::Duration::MAX, 1).is_empty()
            {
                actions.push(Action::SayMissing { life });
            }
            if self.is_untold(life) {
                actions.push(Action::Tell { life });
            }
            if self.budget.returns > 0 && !of.over && of.account.lease.free().get() > 0 {
                actions.push(Action::GiveBack { life });
            }
            if of.over && of.outbox.is_empty() && of.owed.is_empty() && !self.running(life) {
                actions.push(Action::Retire { life });
            }
        }
    }

    /// It keeps what the ledger has appended: the word of it was lost, and is said again.
    fn is_untold(&self, life: usize) -> bool {
        let of = &self.lives[life];
        let appended = self.ledger.appended(super::emitter(life));
        !of.outbox.is_empty() && (1..of.next_seq).any(|seq| of.outbox.keeps(seq) && appended.contains(seq))
    }

    fn network_acts(&self, actions: &mut Vec<Action>) {
        for (index, flight) in self.flights.iter().enumerate() {
            if index > 0 && self.flights[index - 1] == *flight {
                continue;
            }
            actions.push(Action::Store { flight: index, answered: true });
            if self.budget.lost_acknowledgements > 0 && !flight.stray {
                actions.push(Action::Store { flight: index, answered: false });
            }
            if self.budget.lost_messages > 0 {
                actions.push(Action::LoseMessage { flight: index });
            }
        }
        for (index, answer) in self.answers.iter().enumerate() {
            if index == 0 || self.answers[index - 1] != *answer {
                actions.push(Action::Acknowledge { answer: index });
            }
        }
        if let (true, Some(stream)) = (self.budget.losses > 0, &self.stream) {
            actions.push(Action::LoseStream { kept: None });
            let last = stream.last();
            actions
                .extend((last.saturating_sub(OLDER).max(1)..last).map(|kept| Action::LoseStream { kept: Some(kept) }));
        }
    }

    fn gateways_act(&self, setup: &Setup, actions: &mut Vec<Action>) {
        let over = |request: &super::Request| match request.phase {
            Phase::Done | Phase::Refused | Phase::Orphaned => true,
            // Its gateway has no life left to serve it in.
            Phase::Fresh => request.gateway.is_some_and(|gateway| self.gateways[gateway].leaving),
            _ => false,
        };
        let busy = !self.requests.iter().all(over);
        for (gateway, of) in self.gateways.iter().enumerate() {
            let current = self.current(gateway);
            let can_register = self.lives.len() < setup.lives;
            let known = self.stream.is_some() && self.knows_stream();
            if current.is_none() && !of.leaving && can_register && known {
                actions.push(Action::Register { gateway, heard: true });
                if self.budget.lost_replies > 0 {
                    actions.push(Action::Register { gateway, heard: false });
                }
            }
            if !of.leaving && (if current.is_some() { !busy } else { !can_register }) {
                actions.push(Action::Leave { gateway });
            }
            if self.budget.crashes > 0 && self.lives.iter().any(|life| life.gateway == gateway && !life.dead) {
                actions.push(Action::Crash { gateway });
            }
            if self.budget.reconnects > 0 {
                actions.push(Action::Reconnect { gateway });
            }
            if self.ledger.head.generation > of.generation {
                actions.push(Action::HearBeacon { gateway });
            }
        }
    }

    fn ledger_acts(&self, actions: &mut Vec<Action>) {
        if !self.knows_stream() {
            actions.push(Action::NextGeneration);
            return;
        }
        let caught_up = self.caught_up();
        if !caught_up {
            actions.push(Action::Read { heard: true });
            if self.budget.lost_words > 0 {
                actions.push(Action::Read { heard: false });
            }
        }
        for (life, state, generation) in self.open_on_record() {
            let of = &self.lives[life];
            match state {
                LifeState::Open if of.dead || of.forgotten || self.budget.fences > 0 => {
                    actions.push(Action::BeginFence { life });
                }
                LifeState::Fencing if generation != self.ledger.head.generation => {
                    actions.push(Action::CompleteFence { life });
                }
                LifeState::Fencing => {
                    if let Some(k) = self.gate_to_close(life) {
                        actions.push(Action::CloseGate { life, k });
                    }
                }
                LifeState::Open | LifeState::Fenced => {}
            }
        }
        if self.budget.purges > 0 {
            let fenced = (0..self.lives.len()).filter(|life| self.is_fenced(*life));
            actions.extend(fenced.map(|life| Action::PurgeGates { life }));
        }
        if caught_up {
            for request in 0..self.requests.len() {
                if self.can_expire(request) {
                    actions.push(Action::Expire { request });
                }
            }
        }
        if self.budget.restarts > 0 {
            actions.push(Action::Restart);
        }
    }

    /// An open hold of a life that is over, whose request has run for the longest time that it may.
    fn can_expire(&self, request: usize) -> bool {
        let of = &self.requests[request];
        let open = self.ledger.books.holds.get(&super::request_id(request)).is_some_and(|hold| {
            let fenced = hold.gateway.is_some_and(|gateway| self.ledger.books.emitters[&gateway].fenced);
            fenced && hold.slots.authorization.is_some() && !hold.slots.has_ended()
        });
        let runs = matches!(of.phase, Phase::Sent(_) | Phase::Called);
        open && !runs && (!self.is_settling(request) || self.budget.early_expiries > 0)
    }

    /// Its last events are on their way, or were lost by the stream and will be said again.
    pub(super) fn is_settling(&self, request: usize) -> bool {
        let said_again = |said: &super::Said| said.request == Some(request) && !self.lives[said.life].dead;
        matches!(self.requests[request].phase, Phase::Settling(_) | Phase::Releasing)
            || self.lost.iter().any(|said| said_again(said))
    }
}
