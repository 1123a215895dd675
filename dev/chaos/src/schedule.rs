//! What goes wrong when: a pure function of the seed.
//!
//! A deck has every kind of fault for every process once; it is dealt in an order by chance, and shuffled anew when it is
//! used up. So a run of some minutes has met all of them, and neighbours in it are neighbours by chance.

use std::fmt;
use std::time::Duration;

use crate::chance::Chance;

/// Before the first fault, the load begins.
const PRELUDE: Duration = Duration::from_secs(2);
/// After the last one begins, all end within this.
const CODA: Duration = Duration::from_secs(4);
/// Between the beginnings of two faults, milliseconds.
const GAP_MS: (u64, u64) = (300, 4_500);
/// A killed process stays away so long, milliseconds.
const AWAY_MS: (u64, u64) = (0, 3_000);
/// A short pause, milliseconds: nobody is thought dead for it.
const SHORT_MS: (u64, u64) = (50, 900);
/// Between a copy of NATS's data and the kill after which it comes back, milliseconds.
const AGE_MS: (u64, u64) = (300, 4_000);
/// A process that was struck is spared so long after it is back, so that its coming back is seen too.
const SPARED: Duration = Duration::from_millis(500);

/// What there is to strike, and how long a silent gateway is given.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// How many.
    pub gateways: usize,
    /// How many.
    pub ledgers: usize,
    /// Silent for longer, a gateway is fenced.
    pub lease: Duration,
}

/// A process, by its place among its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// One of them.
    Gateway(usize),
    /// One of them: active or standing by.
    Ledger(usize),
    /// The only one.
    Projector,
    /// The only one.
    Nats,
    /// With all its children.
    Postgres,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Harm {
    /// SIGKILL; started again after a while.
    Killed,
    /// SIGSTOP, and SIGCONT soon.
    Paused,
    /// SIGSTOP, and SIGCONT only after the lease's time: a gateway is fenced meanwhile.
    PausedLong,
    /// Its data is copied, while it stands still: as a kill would leave it.
    Copied,
    /// SIGKILL, and it comes back with nothing.
    Wiped,
    /// SIGKILL, and it comes back with the data that was copied last.
    Restored,
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// When, since the beginning; later by as long as a calm was waited for.
    pub at: Duration,
    /// Who.
    pub target: Target,
    /// What.
    pub harm: Harm,
    /// How long it is away or stands still.
    pub lasts: Duration,
    /// Waits first until all processes are well and all that gateways said is appended. So no gateway is killed that alone
    /// knows what NATS lost: both at once is what nobody promises to survive (P2).
    pub after_calm: bool,
}

/// A card of the deck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    Strike(Kind, Harm),
    /// Wiped or restored.
    Lose(Harm),
    /// The same while a gateway sleeps past its lease.
    LoseWhileOneSleeps(Harm),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gateway,
    Ledger,
    Projector,
    Nats,
    Postgres,
}

const KINDS: [Kind; 5] = [Kind::Gateway, Kind::Ledger, Kind::Projector, Kind::Nats, Kind::Postgres];

/// All faults of a run of this length, in the order of their time.
pub fn schedule(seed: u64, length: Duration, setting: &Setting) -> Vec<Fault> {
    let mut dealer = Dealer { chance: Chance::new(seed, 0), setting: *setting, faults: Vec::new(), danger: None };
    let mut deck = Vec::new();
    let mut at = PRELUDE;
    while at + CODA < length {
        let card = deck.pop().unwrap_or_else(|| dealer.shuffled(&mut deck));
        at = dealer.deal(card, at);
        at += dealer.milliseconds(GAP_MS);
    }
    dealer.faults.retain(|fault| fault.at + CODA < length);
    dealer.faults
}

struct Dealer {
    chance: Chance,
    setting: Setting,
    faults: Vec<Fault>,
    /// What came last of the two that may not meet: a gateway's kill, a loss of NATS's data.
    danger: Option<Harm>,
}

impl Dealer {
    fn shuffled(&mut self, deck: &mut Vec<Card>) -> Card {
        for kind in KINDS {
            deck.extend([Harm::Killed, Harm::Paused, Harm::PausedLong].map(|harm| Card::Strike(kind, harm)));
        }
        for harm in [Harm::Wiped, Harm::Restored] {
            deck.extend([Card::Lose(harm), Card::LoseWhileOneSleeps(harm)]);
        }
        self.chance.shuffle(deck);
        deck.pop().unwrap_or(Card::Lose(Harm::Wiped))
    }

    /// Plays a card at `at` or as soon as its targets are free; answers when.
    fn deal(&mut self, card: Card, at: Duration) -> Duration {
        match card {
            Card::Strike(kind, harm) => {
                let target = self.one_of(kind);
                self.strike(target, harm, at)
            }
            Card::Lose(harm) => self.lose(harm, at),
            Card::LoseWhileOneSleeps(harm) => {
                let sleeper = self.one_of(Kind::Gateway);
                let slept = self.strike(sleeper, Harm::PausedLong, at);
                // The calm is to come before it falls asleep.
                let after_calm = self.meets(Harm::Wiped);
                let Some(sleep) = self.faults.last_mut() else { return at };
                sleep.after_calm = after_calm;
                // Fenced by then, and asleep for a while after.
                let fenced = self.setting.lease * 2;
                sleep.lasts = fenced + self.setting.lease * 2;
                self.lose(harm, slept + fenced)
            }
        }
    }

    fn lose(&mut self, harm: Harm, at: Duration) -> Duration {
        let mut at = at;
        if harm == Harm::Restored {
            at = self.strike(Target::Nats, Harm::Copied, at);
            at += self.milliseconds(AGE_MS);
        }
        self.strike(Target::Nats, harm, at)
    }

    fn strike(&mut self, target: Target, harm: Harm, at: Duration) -> Duration {
        let at = at.max(self.free_at(target));
        let lasts = match harm {
            Harm::Killed | Harm::Wiped | Harm::Restored => self.milliseconds(AWAY_MS),
            Harm::Paused => self.milliseconds(SHORT_MS),
            Harm::PausedLong => {
                let lease = u64::try_from(self.setting.lease.as_millis()).unwrap_or(u64::MAX);
                self.milliseconds((lease * 5 / 4, lease * 5 / 2))
            }
            Harm::Copied => Duration::ZERO,
        };
        let danger = match (target, harm) {
            (Target::Gateway(_), Harm::Killed) => Some(Harm::Killed),
            (Target::Nats, Harm::Wiped | Harm::Restored) => Some(Harm::Wiped),
            _ => None,
        };
        let after_calm = danger.is_some_and(|danger| self.meets(danger));
        self.faults.push(Fault { at, target, harm, lasts, after_calm });
        at
    }

    /// Whether what came last of the two that may not meet is the other one; from now on it is this one.
    fn meets(&mut self, danger: Harm) -> bool {
        self.danger.replace(danger).is_some_and(|last| last != danger)
    }

    /// When what was done to it is over.
    fn free_at(&self, target: Target) -> Duration {
        let its = self.faults.iter().filter(|fault| fault.target == target);
        its.map(|fault| fault.at + fault.lasts + SPARED).max().unwrap_or_default()
    }

    fn one_of(&mut self, kind: Kind) -> Target {
        match kind {
            Kind::Gateway => Target::Gateway(self.chance.below(self.setting.gateways)),
            Kind::Ledger => Target::Ledger(self.chance.below(self.setting.ledgers)),
            Kind::Projector => Target::Projector,
            Kind::Nats => Target::Nats,
            Kind::Postgres => Target::Postgres,
        }
    }

    fn milliseconds(&mut self, (least, most): (u64, u64)) -> Duration {
        Duration::from_millis(self.chance.between(least, most))
    }
}

impl Target {
    /// Its kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Ledger(_) => "ledger",
            Self::Projector => "projector",
            Self::Nats => "nats",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway(index) | Self::Ledger(index) => write!(out, "{}-{}", self.kind(), index + 1),
            _ => out.write_str(self.kind()),
        }
    }
}

impl Harm {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Paused => "paused",
            Self::PausedLong => "paused past the lease",
            Self::Copied => "copied",
            Self::Wiped => "lost its data",
            Self::Restored => "came back older",
        }
    }

    /// Whether it loses what NATS had.
    pub fn loses_data(self) -> bool {
        matches!(self, Self::Wiped | Self::Restored)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const SETTING: Setting = Setting { gateways: 3, ledgers: 2, lease: Duration::from_secs(2) };

    #[test]
    fn some_minutes_meet_every_fault_of_every_process() {
        let faults = schedule(1, Duration::from_secs(240), &SETTING);
        let met: HashSet<_> = faults.iter().map(|fault| (fault.target.kind(), fault.harm)).collect();
        for kind in ["gateway", "ledger", "projector", "nats", "postgres"] {
            for harm in [Harm::Killed, Harm::Paused, Harm::PausedLong] {
                assert!(met.contains(&(kind, harm)), "{kind} {}", harm.name());
            }
        }
        assert!(met.contains(&("nats", Harm::Wiped)) && met.contains(&("nats", Harm::Restored)));
        assert_ne!(faults, schedule(2, Duration::from_secs(240), &SETTING));
    }

    proptest! {
        #[test]
        fn a_seed_always_says_the_same_and_nobody_is_struck_twice_at_once(seed: u64, seconds in 0_u64..400) {
            let length = Duration::from_secs(seconds);
            let faults = schedule(seed, length, &SETTING);
            prop_assert_eq!(&faults, &schedule(seed, length, &SETTING));
            prop_assert!(faults.windows(2).all(|two| two[0].at <= two[1].at));
            for (index, fault) in faults.iter().enumerate() {
                for later in faults[index + 1..].iter().filter(|later| later.target == fault.target) {
                    prop_assert!(later.at >= fault.at + fault.lasts, "{:?} {:?}", fault, later);
                }
            }
        }

        #[test]
        fn nothing_comes_back_older_before_it_was_copied(seed: u64) {
            let faults = schedule(seed, Duration::from_secs(300), &SETTING);
            let first = |harm: Harm| faults.iter().position(|fault| fault.harm == harm);
            if let Some(restored) = first(Harm::Restored) {
                prop_assert!(first(Harm::Copied).is_some_and(|copied| copied < restored));
            }
        }

        #[test]
        fn between_a_gateways_death_and_a_loss_of_data_there_is_a_calm(seed: u64) {
            let mut last = None;
            for fault in schedule(seed, Duration::from_secs(300), &SETTING) {
                if fault.after_calm {
                    last = None;
                }
                let killed = matches!(fault.target, Target::Gateway(_)) && fault.harm == Harm::Killed;
                if killed || fault.harm.loses_data() {
                    prop_assert!(last.is_none_or(|last| last == killed), "{fault:?}");
                    last = Some(killed);
                }
            }
        }
    }
}
