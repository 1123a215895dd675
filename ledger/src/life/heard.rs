use std::collections::HashMap;
use std::time::{Duration, Instant};

use schemas::ids::EmitterId;
use schemas::message::Heartbeat;

/// When each life was heard last. Silence counts only while the ledger itself was listening.
#[derive(Debug)]
pub struct Heard {
    last: HashMap<EmitterId, Instant>,
    leaving: HashMap<EmitterId, bool>,
    listening_since: Instant,
    ticked: Instant,
}

impl Heard {
    /// Begins to listen.
    pub fn new(now: Instant) -> Self {
        Self { last: HashMap::new(), leaving: HashMap::new(), listening_since: now, ticked: now }
    }

    /// A heartbeat came.
    pub fn beat(&mut self, heartbeat: &Heartbeat, now: Instant) {
        for life in &heartbeat.lives {
            self.last.insert(*life, now);
            self.leaving.insert(*life, heartbeat.leaving);
        }
    }

    /// A life was registered, which is as good as a heartbeat.
    pub fn registered(&mut self, life: EmitterId, now: Instant) {
        self.last.insert(life, now);
    }

    /// A start, a reconnect, a new generation: what was not heard before may not have been audible.
    pub fn listen_anew(&mut self, now: Instant) {
        self.listening_since = now;
    }

    /// The regular look at the clock. A late one means that this process itself was asleep.
    pub fn tick(&mut self, now: Instant, every: Duration) {
        if now.duration_since(self.ticked) > every * 3 {
            self.listen_anew(now);
        }
        self.ticked = now;
    }

    /// How long a life has been silent while this ledger was listening.
    pub fn silence(&self, life: EmitterId, now: Instant) -> Duration {
        let last = self.last.get(&life).copied().unwrap_or(self.listening_since);
        now.duration_since(last.max(self.listening_since))
    }

    /// The life said that it is about to end.
    pub fn is_leaving(&self, life: EmitterId) -> bool {
        self.leaving.get(&life).copied().unwrap_or(false)
    }

    /// How long the ledger has been listening without a break.
    pub fn listening(&self, now: Instant) -> Duration {
        now.duration_since(self.listening_since)
    }

    /// Forgets lives that are over.
    pub fn forget(&mut self, is_open: impl Fn(EmitterId) -> bool) {
        self.last.retain(|life, _| is_open(*life));
        self.leaving.retain(|life, _| is_open(*life));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_while_the_ledger_listened() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let life = EmitterId(uuid::Uuid::nil());
        let mut heard = Heard::new(start);
        heard.registered(life, start);
        heard.tick(start + second, second);
        assert_eq!(heard.silence(life, start + second), second);
        // The ledger slept for an hour.
        heard.tick(start + second * 3600, second);
        assert_eq!(heard.silence(life, start + second * 3601), second);
        heard.beat(&Heartbeat { process: uuid::Uuid::nil(), lives: vec![life], leaving: true }, start + second * 3602);
        assert_eq!(heard.silence(life, start + second * 3602), Duration::ZERO);
        assert!(heard.is_leaving(life));
    }
}
