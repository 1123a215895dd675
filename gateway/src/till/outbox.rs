//! The events of one life that the ledger has not appended yet, and which of them have to be sent again. Pure: time and
//! connection come in as arguments.
//!
//! | an event is | then |
//! |---|---|
//! | unacknowledged | whoever made it sends it until it is acknowledged; it is never sent from here. An authorization in this state is only ever sent through its gate |
//! | acknowledged | it is kept until it is appended, and sent again, the same bytes, without a gate: in `seq` order at once if the connection or the generation has changed since (the stream may have come back older, or be another one); if the ledger misses it; if nothing was heard of it for long |
//! | appended, or named as never coming | it is forgotten |

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use schemas::ids::AccountId;

/// Where an acknowledgement came from. One of an older connection or generation says nothing about the stream of today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Era {
    /// Of the stream.
    pub generation: u64,
    /// How many times NATS was connected to, up to this connection.
    pub connection: u64,
}

/// An event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealed {
    /// The life's own counter.
    pub seq: u64,
    /// Whose.
    pub account_id: AccountId,
    /// For its subject.
    pub event_type: &'static str,
    /// Made once and never again.
    pub bytes: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Entry {
    event: Sealed,
    acknowledged: Option<Acknowledged>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Acknowledged {
    era: Era,
    /// When it was sent last.
    since: Duration,
    resent: u32,
}

/// A hole is reported as soon as a batch ends between two events; it usually closes with the next one.
const HOLE_AFTER: Duration = Duration::from_millis(300);
/// So long nothing may be heard of an event, though the ledger reports, before it is sent again.
const SILENCE_AFTER: Duration = Duration::from_secs(2);
/// The waits double up to this many times.
const MOST_DOUBLINGS: u32 = 5;

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Outbox {
    entries: BTreeMap<u64, Entry>,
    bytes: usize,
    /// The largest `seq` that the ledger has reported.
    reported: u64,
    /// Since when the ledger is heard without a long pause, and when it was heard last.
    listening: Option<(Duration, Duration)>,
}

/// After a longer pause of the ledger, the count of silence begins anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Outbox {
    /// Keeps an event from before it is sent for the first time.
    pub fn keep(&mut self, event: Sealed) {
        self.bytes += event.bytes.len();
        let replaced = self.entries.insert(event.seq, Entry { event, acknowledged: None });
        debug_assert!(replaced.is_none(), "a seq is used once");
    }

    /// The stream has it.
    pub fn acknowledged(&mut self, seq: u64, era: Era, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&seq) {
            let resent = entry.acknowledged.map_or(0, |before| before.resent);
            entry.acknowledged = Some(Acknowledged { era, since: now, resent });
        }
    }

    /// It will never be sent again: another event has named it as never coming.
    pub fn forget(&mut self, seq: u64) {
        if let Some(entry) = self.entries.remove(&seq) {
            self.bytes -= entry.event.bytes.len();
        }
    }

    /// The ledger is there: from now on its silence about an event means something.
    pub fn ledger_heard(&mut self, now: Duration) {
        self.listening = match self.listening {
            Some((since, last)) if now.saturating_sub(last) <= LONGEST_PAUSE => Some((since, now)),
            _ => Some((now, now)),
        };
    }

    /// The ledger has appended everything up to `through`, and these inclusive ranges beyond.
    pub fn appended(&mut self, through: u64, beyond: &[(u64, u64)], now: Duration) {
        self.ledger_heard(now);
        let ranges = std::iter::once((0, through)).chain(beyond.iter().copied());
        for (start, end) in ranges {
            self.reported = self.reported.max(end);
            while let Some((&seq, _)) = self.entries.range(start..=end.max(start)).next() {
                self.forget(seq);
            }
        }
    }

    /// Whether it is kept: sent or not, but not appended.
    pub fn keeps(&self, seq: u64) -> bool {
        self.entries.contains_key(&seq)
    }

    /// Acknowledged in an older era, in `seq` order: to be sent again before this life says anything that builds on them.
    pub fn outdated(&self, era: Era) -> Vec<Sealed> {
        let older = |entry: &&Entry| entry.acknowledged.is_some_and(|acknowledged| acknowledged.era < era);
        self.entries.values().filter(older).map(|entry| entry.event.clone()).collect()
    }

    /// Nothing was acknowledged in an older era only.
    pub fn is_current(&self, era: Era) -> bool {
        !self.entries.values().any(|entry| entry.acknowledged.is_some_and(|acknowledged| acknowledged.era < era))
    }

    /// Acknowledged, but missing at the ledger: in `seq` order, at most so many. Each is waited for twice as long as before.
    pub fn missing(&mut self, now: Duration, at_most: usize) -> Vec<Sealed> {
        let Some((listening, _)) = self.listening else { return Vec::new() };
        let reported = self.reported;
        let mut missing = Vec::new();
        for (&seq, entry) in &mut self.entries {
            if missing.len() == at_most {
                break;
            }
            let Some(acknowledged) = &mut entry.acknowledged else { continue };
            let patience = if seq < reported { HOLE_AFTER } else { SILENCE_AFTER };
            let patience = patience * 2_u32.pow(acknowledged.resent.min(MOST_DOUBLINGS));
            if now.saturating_sub(acknowledged.since.max(listening)) >= patience {
                acknowledged.since = now;
                acknowledged.resent += 1;
                missing.push(entry.event.clone());
            }
        }
        missing
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first that is kept.
    pub fn first(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(seq, _)| *seq)
    }

    /// Everything is appended.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of what is kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const FIRST: Era = Era { generation: 1, connection: 1 };

    fn event(seq: u64) -> Sealed {
        let account_id = AccountId(Uuid::nil());
        Sealed { seq, account_id, event_type: "UsageRecorded", bytes: Bytes::from(vec![b'x'; 10]) }
    }

    fn seqs(events: &[Sealed]) -> Vec<u64> {
        events.iter().map(|event| event.seq).collect()
    }

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_was_never_acknowledged_is_never_sent_from_here() {
        let mut outbox = Outbox::default();
        outbox.keep(event(1));
        outbox.keep(event(2));
        outbox.acknowledged(2, FIRST, ms(0));
        outbox.appended(0, &[(2, 2)], ms(0));
        assert!(outbox.missing(ms(60_000), 10).is_empty());
        assert!(outbox.outdated(Era { generation: 2, connection: 9 }).is_empty());
        assert!(outbox.keeps(1) && !outbox.keeps(2));
    }

    #[test]
    fn a_hole_is_sent_again_soon_and_the_end_later() {
        let mut outbox = Outbox::default();
        for seq in 1..=3 {
            outbox.keep(event(seq));
            outbox.acknowledged(seq, FIRST, ms(0));
        }
        outbox.appended(0, &[(2, 2)], ms(0));
        assert!(outbox.missing(ms(200), 10).is_empty());
        assert_eq!(seqs(&outbox.missing(ms(400), 10)), [1]);
        assert!(outbox.missing(ms(800), 10).is_empty());
        assert_eq!(seqs(&outbox.missing(ms(2_100), 10)), [1, 3]);
        outbox.appended(3, &[], ms(2_200));
        assert!(outbox.is_empty() && outbox.bytes() == 0);
    }

    #[test]
    fn silence_of_the_ledger_is_not_silence_about_an_event() {
        let mut outbox = Outbox::default();
        outbox.keep(event(1));
        outbox.acknowledged(1, FIRST, ms(0));
        assert!(outbox.missing(ms(600_000), 10).is_empty());
        outbox.appended(0, &[], ms(600_000));
        assert!(outbox.missing(ms(600_000), 10).is_empty());
        assert_eq!(seqs(&outbox.missing(ms(602_000), 10)), [1]);
    }

    #[test]
    fn another_connection_or_generation_makes_all_of_it_outdated() {
        let mut outbox = Outbox::default();
        for seq in 1..=3 {
            outbox.keep(event(seq));
        }
        outbox.acknowledged(3, FIRST, ms(0));
        outbox.acknowledged(1, FIRST, ms(0));
        assert!(outbox.is_current(FIRST));
        let later = Era { generation: 1, connection: 2 };
        assert_eq!(seqs(&outbox.outdated(later)), [1, 3]);
        outbox.acknowledged(1, later, ms(5));
        assert_eq!(seqs(&outbox.outdated(later)), [3]);
        assert_eq!(seqs(&outbox.outdated(Era { generation: 2, connection: 2 })), [1, 3]);
    }

    proptest! {
        /// Against a set of numbers: what is reported is forgotten, all else is kept, and bytes are counted exactly.
        #[test]
        fn keeps_exactly_what_is_not_appended(
            steps in prop::collection::vec((0_u8..4, 1_u64..60, 0_u64..20), 0..150)
        ) {
            let (mut outbox, mut reference, mut next) = (Outbox::default(), BTreeSet::new(), 1);
            for (what, seq, length) in steps {
                match what {
                    0 => {
                        outbox.keep(event(next));
                        reference.insert(next);
                        next += 1;
                    }
                    1 => outbox.acknowledged(seq, FIRST, ms(0)),
                    2 => {
                        outbox.appended(length, &[(seq, seq + length)], ms(0));
                        reference.retain(|kept| *kept > length && !(seq..=seq + length).contains(kept));
                    }
                    _ => {
                        outbox.forget(seq);
                        reference.remove(&seq);
                    }
                }
                prop_assert_eq!(outbox.len(), reference.len());
                prop_assert_eq!(outbox.bytes(), 10 * reference.len());
                prop_assert!(reference.iter().all(|seq| outbox.keeps(*seq)));
            }
        }
    }
}
