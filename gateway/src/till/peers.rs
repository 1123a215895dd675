use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

/// The gateway processes that were heard lately: among so many the accounts' rate limits are shared. Pure.
#[derive(Clone, Debug)]
pub struct Peers {
    own: Uuid,
    heard: HashMap<Uuid, Duration>,
}

impl Peers {
    /// Only this process.
    pub fn new(own: Uuid) -> Self {
        Self { own, heard: HashMap::new() }
    }

    /// A heartbeat came.
    pub fn heard(&mut self, process: Uuid, leaving: bool, now: Duration) {
        if leaving {
            self.heard.remove(&process);
        } else {
            self.heard.insert(process, now);
        }
    }

    /// How many are alive, this one among them; the others count so long as they are not silent for longer than `silence`.
    pub fn live(&mut self, now: Duration, silence: Duration) -> u32 {
        let own = self.own;
        self.heard.retain(|process, last| *process != own && now.saturating_sub(*last) <= silence);
        1 + u32::try_from(self.heard.len()).unwrap_or(u32::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_gateway_does_not_count_and_this_one_always_does() {
        let at = Duration::from_secs;
        let mut peers = Peers::new(Uuid::from_u128(1));
        assert_eq!(peers.live(at(0), at(5)), 1);
        for process in 1..=3 {
            peers.heard(Uuid::from_u128(process), false, at(1));
        }
        assert_eq!(peers.live(at(2), at(5)), 3);
        peers.heard(Uuid::from_u128(2), true, at(3));
        assert_eq!(peers.live(at(3), at(5)), 2);
        assert_eq!(peers.live(at(7), at(5)), 1);
    }
}
