use std::collections::HashMap;
use std::time::{Duration, Instant};

use schemas::ids::EmitterId;
use schemas::message::Heartbeat;

/// When each life was heard last. Silence counts only while the ledger itself could hear, which it knows by its own voice:
/// it says something to itself over NATS, the way that heartbeats come, several times a lease time.
#[derive(Debug)]
pub struct Heard {
    last: HashMap<EmitterId, Instant>,
    leaving: HashMap<EmitterId, bool>,
    listening_since: Instant,
    /// When it heard itself last. What came later than that may not be audible yet.
    own_voice: Instant,
}

impl Heard {
    /// Begins to listen.
    pub fn new(now: Instant) -> Self {
        Self { last: HashMap::new(), leaving: HashMap::new(), listening_since: now, own_voice: now }
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

    /// It heard itself. After a longer gap than this it was deaf: it slept, or NATS was away or hung.
    pub fn own_voice(&mut self, now: Instant, longest_gap: Duration) {
        if now.duration_since(self.own_voice) > longest_gap {
            self.listen_anew(now);
        }
        self.own_voice = now;
    }

    /// How long a life has been silent while this ledger could hear.
    pub fn silence(&self, life: EmitterId) -> Duration {
        let last = self.last.get(&life).copied().unwrap_or(self.listening_since);
        self.own_voice.saturating_duration_since(last.max(self.listening_since))
    }

    /// The life said that it is about to end.
    pub fn is_leaving(&self, life: EmitterId) -> bool {
        self.leaving.get(&life).copied().unwrap_or(false)
    }

    /// How long the ledger has been listening without a break.
    pub fn listening(&self) -> Duration {
        self.own_voice.saturating_duration_since(self.listening_since)
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

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_counts_only_while_the_ledger_could_hear() {
        let start = Instant::now();
        let life = EmitterId(uuid::Uuid::nil());
        let mut heard = Heard::new(start);
        heard.registered(life, start);
        heard.own_voice(start + SECOND, SECOND * 3);
        assert_eq!(heard.silence(life), SECOND);
        // It did not hear itself for an hour: it slept, or NATS hung.
        assert_eq!((heard.silence(life), heard.listening()), (SECOND, SECOND));
        heard.own_voice(start + SECOND * 3600, SECOND * 3);
        assert_eq!((heard.silence(life), heard.listening()), (Duration::ZERO, Duration::ZERO));
        heard.own_voice(start + SECOND * 3601, SECOND * 3);
        assert_eq!(heard.silence(life), SECOND);
    }

    #[test]
    fn a_heartbeat_ends_the_silence() {
        let start = Instant::now();
        let life = EmitterId(uuid::Uuid::nil());
        let mut heard = Heard::new(start);
        heard.own_voice(start + SECOND, SECOND * 3);
        heard.beat(&Heartbeat { process: uuid::Uuid::nil(), lives: vec![life], leaving: true }, start + SECOND * 2);
        assert_eq!(heard.silence(life), Duration::ZERO);
        assert!(heard.is_leaving(life));
        heard.own_voice(start + SECOND * 4, SECOND * 3);
        assert_eq!(heard.silence(life), SECOND * 2);
    }
}
