//! One account in one life: its lease, who waits for credits of it, and what to ask the ledger for. Pure.
//!
//! First come, first served: a request is decided only when all before it are. One question to the ledger at a time; its
//! answer decides as many as it can. A refusal is always said on the ledger's word: it names what is left of the account.

use std::collections::VecDeque;
use std::time::Duration;

use schemas::ids::RequestId;
use schemas::message::LeaseReply;
use schemas::money::Nanocredits;

use super::lease::Lease;
use super::spending::Spending;

/// So long a request waits for credits that exist but are held, on their way back, or leased to another gateway.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Even if the ledger says each time that the credits are there, and grants them to others.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A word of the ledger that is older says nothing about what is available.
const WORD_KEEPS: Duration = Duration::from_secs(10);
/// An account that nobody asked for so long gives back what is free of its lease.
const IDLE_AFTER: Duration = Duration::from_millis(2_500);
/// So many holds of the size that is asked for are leased in advance.
const HOLDS_AHEAD: i64 = 4;
/// Of what no gateway has, at most this part is leased in advance, so that little is stranded as an account empties.
const SHARE_AHEAD: i64 = 4;
/// More is asked for in advance as soon as less than this part of the last advance is free.
const LOW_WATER: i64 = 4;
/// But not more often than this.
const AHEAD_EVERY: Duration = Duration::from_millis(100);

/// The lease and its queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Account {
    /// What this life may spend.
    pub lease: Lease,
    waiting: VecDeque<Waiting>,
    asking: bool,
    /// An answer never came.
    in_doubt: bool,
    closed: bool,
    word: Option<Word>,
    spending: Spending,
    advance: i64,
    asked_ahead: Duration,
    last_used: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    request: RequestId,
    needed: Nanocredits,
    since: Duration,
}

/// The ledger's last word, credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// What no gateway has.
    pub unleased: Nanocredits,
    /// What can still be spent, all leases included.
    pub available: Nanocredits,
    /// In open holds.
    pub held: Nanocredits,
    /// When it was said.
    pub at: Duration,
}

impl Word {
    /// So old that a new one should be asked for.
    pub fn is_stale(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) > WORD_KEEPS
    }
}

/// What came of asking for a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is taken.
    Taken,
    /// It waits; the verdict comes.
    Waits,
    /// This life is over: ask the next one.
    Closed,
}

/// What was decided about a request that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its hold is taken.
    Taken,
    /// Even with every open hold released it would not be enough.
    Insufficient(Word),
    /// It would be, but not now.
    Held(Word),
    /// The ledger did not answer, or not in time.
    NoAnswer,
    /// This life is over: ask the next one.
    Closed,
}

/// When to ask the ledger next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nobody waits.
    Rest,
    /// The first can be served.
    AskNow,
    /// Credits may come free: ask again a little later.
    AskLater,
}

impl Account {
    /// A request wants its hold.
    pub fn ask(&mut self, request: RequestId, needed: Nanocredits, now: Duration) -> Asked {
        if self.closed {
            return Asked::Closed;
        }
        self.last_used = now;
        if self.waiting.is_empty() && self.lease.take(request, needed) {
            return Asked::Taken;
        }
        self.waiting.push_back(Waiting { request, needed, since: now });
        Asked::Waits
    }

    /// The request does not wait any longer.
    pub fn leaves(&mut self, request: RequestId) {
        self.waiting.retain(|waiting| waiting.request != request);
    }

    /// Whether the ledger is to be asked now; if so, the question is taken as asked until [`Account::answered`] or
    /// [`Account::unanswered`]. `curious`: somebody wants to know what is available.
    pub fn begin_asking(&mut self, curious: bool, now: Duration) -> bool {
        let low = self.lease.free().get() < self.advance / LOW_WATER
            && self.word.is_some_and(|word| word.unleased.get() > 0)
            && now.saturating_sub(self.asked_ahead) >= AHEAD_EVERY;
        let reason = !self.waiting.is_empty() || curious || low;
        if self.asking || self.closed || !reason {
            return false;
        }
        self.asking = true;
        true
    }

    /// What is lacking now, and what would be good to have, credits.
    pub fn wish(&mut self, now: Duration) -> (Nanocredits, Nanocredits) {
        let free = self.lease.free().get();
        let need = self.waiting.front().map_or(0, |first| first.needed.get() - free).max(0);
        let all = self.waiting.iter().fold(0_i64, |sum, waiting| sum.saturating_add(waiting.needed.get()));
        let lacking = all.saturating_sub(free).max(need);
        let largest = self.waiting.iter().map(|waiting| waiting.needed.get()).max().unwrap_or(0);
        let unleased = self.word.map_or(0, |word| word.unleased.get());
        let share = unleased.saturating_sub(lacking).max(0) / SHARE_AHEAD;
        let recent = self.spending.recent(now).get();
        self.advance = recent.max(largest.saturating_mul(HOLDS_AHEAD)).min(share);
        self.asked_ahead = now;
        (Nanocredits::new(need), Nanocredits::new(lacking.saturating_add(self.advance)))
    }

    /// The ledger has answered: serves and refuses in order, as far as its word goes. Unless nobody waits any longer, the
    /// question counts as asked until it is asked again.
    pub fn answered(&mut self, reply: &LeaseReply, now: Duration) -> (Vec<(RequestId, Verdict)>, Next) {
        self.lease.granted(reply.granted_total);
        self.in_doubt = false;
        let (verdicts, next) = self.decide(reply, now);
        self.asking = next != Next::Rest;
        (verdicts, next)
    }

    fn decide(&mut self, reply: &LeaseReply, now: Duration) -> (Vec<(RequestId, Verdict)>, Next) {
        let word = Word { unleased: reply.unleased, available: reply.available, held: reply.held, at: now };
        self.word = Some(word);
        let mut verdicts = self.serve();
        while let Some(first) = self.waiting.front().copied() {
            let verdict = if self.lease.take(first.request, first.needed) {
                Verdict::Taken
            } else {
                let lacking = first.needed.minus_or_zero(self.lease.free());
                let total = word.available.get().saturating_add(word.held.get());
                let waited = now.saturating_sub(first.since);
                if first.needed.is_negative() || first.needed.get() > total {
                    Verdict::Insufficient(word)
                } else if lacking <= word.unleased {
                    // The credits are there, so it is not holds that are in the way: the ledger is slow.
                    if waited < LONGEST_WAIT {
                        return (verdicts, Next::AskNow);
                    }
                    Verdict::NoAnswer
                } else if waited < PATIENCE {
                    return (verdicts, Next::AskLater);
                } else {
                    Verdict::Held(word)
                }
            };
            self.waiting.pop_front();
            verdicts.push((first.request, verdict));
        }
        (verdicts, Next::Rest)
    }

    /// Whether the question is still worth asking again; if not, nothing is being asked from now on.
    pub fn goes_on_asking(&mut self, curious: bool) -> bool {
        self.asking = !self.closed && (curious || !self.waiting.is_empty());
        self.asking
    }

    /// The ledger did not answer in time: nobody can be told anything about the account.
    pub fn unanswered(&mut self) -> Vec<(RequestId, Verdict)> {
        self.asking = false;
        self.in_doubt = true;
        self.waiting.drain(..).map(|waiting| (waiting.request, Verdict::NoAnswer)).collect()
    }

    /// The ledger may have granted what its answer, which never came, would have told. Until it is asked again, nobody can
    /// spend that, nor give it back.
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Credits came free: serves in order.
    pub fn serve(&mut self) -> Vec<(RequestId, Verdict)> {
        let mut verdicts = Vec::new();
        while let Some(first) = self.waiting.front().copied() {
            if self.closed || !self.lease.take(first.request, first.needed) {
                break;
            }
            self.waiting.pop_front();
            verdicts.push((first.request, Verdict::Taken));
        }
        verdicts
    }

    /// A request was charged: the size of the next advance follows.
    pub fn charged(&mut self, amount: Nanocredits, now: Duration) {
        self.spending.add(amount, now);
        self.last_used = now;
    }

    /// This life is over: nobody takes anything any longer.
    pub fn close(&mut self) -> Vec<(RequestId, Verdict)> {
        self.closed = true;
        self.waiting.drain(..).map(|waiting| (waiting.request, Verdict::Closed)).collect()
    }

    /// The ledger's last word, since the account was last idle.
    pub fn word(&self) -> Option<Word> {
        self.word
    }

    /// If nobody has asked for it lately: forgets what the ledger said, and gives back what is free, as
    /// [`Account::give_back`] does.
    pub fn rest(&mut self, now: Duration) -> Option<Nanocredits> {
        let idle = self.waiting.is_empty() && !self.asking && now.saturating_sub(self.last_used) >= IDLE_AFTER;
        if !idle {
            return None;
        }
        self.word = None;
        self.give_back(Nanocredits::MAX)
    }

    /// Gives back at most so much of what is free; the answer is the new total for its event. What the ledger said of the
    /// account is old news then.
    pub fn give_back(&mut self, at_most: Nanocredits) -> Option<Nanocredits> {
        let total = self.lease.give_back(at_most)?;
        self.word = None;
        self.advance = 0;
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn credits(amount: i64) -> Nanocredits {
        Nanocredits::new(amount)
    }

    fn request(number: u128) -> RequestId {
        RequestId(Uuid::from_u128(number))
    }

    fn reply(granted: i64, unleased: i64, available: i64, held: i64) -> LeaseReply {
        LeaseReply {
            granted_total: credits(granted),
            unleased: credits(unleased),
            available: credits(available),
            held: credits(held),
            position: 1,
        }
    }

    const START: Duration = Duration::ZERO;

    #[test]
    fn the_first_to_come_is_the_first_to_be_served() {
        let mut account = Account::default();
        assert_eq!(account.ask(request(1), credits(5), START), Asked::Waits);
        assert!(account.begin_asking(false, START));
        assert_eq!(account.ask(request(2), credits(1), START), Asked::Waits);
        assert!(!account.begin_asking(false, START), "one question at a time");
        assert_eq!(account.wish(START), (credits(5), credits(6)));
        let (verdicts, next) = account.answered(&reply(5, 10, 15, 0), START);
        assert_eq!((verdicts, next), (vec![(request(1), Verdict::Taken)], Next::AskNow));
        assert_eq!(account.ask(request(3), credits(0), START), Asked::Waits, "behind the second");
    }

    #[test]
    fn one_word_refuses_all_who_ask_for_more_than_there_is() {
        let mut account = Account::default();
        for number in 1..=3 {
            account.ask(request(number), credits(number as i64 * 4), START);
        }
        let (verdicts, next) = account.answered(&reply(5, 0, 5, 0), START);
        let refused: Vec<_> = verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Insufficient(_))).collect();
        assert_eq!((verdicts[0], refused.len(), next), ((request(1), Verdict::Taken), 2, Next::Rest));
    }

    #[test]
    fn held_credits_are_waited_for_and_then_named() {
        let mut account = Account::default();
        account.lease.granted(credits(10));
        account.ask(request(1), credits(8), START);
        account.ask(request(2), credits(8), START);
        let (verdicts, next) = account.answered(&reply(10, 0, 2, 8), START);
        assert_eq!((verdicts, next), (vec![], Next::AskLater));
        let (verdicts, _) = account.answered(&reply(10, 0, 2, 8), PATIENCE);
        assert!(matches!(verdicts[..], [(_, Verdict::Held(_))]), "{verdicts:?}");
    }

    #[test]
    fn credits_that_are_there_are_never_said_to_be_held() {
        let mut account = Account::default();
        account.ask(request(1), credits(8), START);
        let (verdicts, next) = account.answered(&reply(0, 1_000, 1_000, 3), PATIENCE);
        assert_eq!((verdicts, next), (vec![], Next::AskNow));
        let (verdicts, next) = account.answered(&reply(0, 1_000, 1_000, 3), LONGEST_WAIT);
        assert_eq!((verdicts, next), (vec![(request(1), Verdict::NoAnswer)], Next::Rest));
    }

    #[test]
    fn what_was_granted_unheard_is_given_back_once_it_is_known() {
        let mut account = Account::default();
        account.ask(request(1), credits(8), START);
        assert!(account.begin_asking(false, START));
        assert_eq!(account.unanswered(), [(request(1), Verdict::NoAnswer)]);
        let later = START + IDLE_AFTER;
        assert_eq!((account.rest(later), account.is_in_doubt()), (None, true));
        assert!(account.begin_asking(account.is_in_doubt(), later));
        assert_eq!(account.wish(later), (credits(0), credits(0)));
        assert_eq!(account.answered(&reply(8, 2, 10, 0), later), (vec![], Next::Rest));
        assert_eq!((account.rest(later), account.is_in_doubt()), (Some(credits(8)), false));
    }

    #[test]
    fn what_comes_free_serves_who_waits() {
        let mut account = Account::default();
        account.lease.granted(credits(10));
        assert_eq!(account.ask(request(1), credits(8), START), Asked::Taken);
        account.ask(request(2), credits(8), START);
        account.lease.put_back(request(1)).unwrap();
        assert_eq!(account.serve(), [(request(2), Verdict::Taken)]);
    }

    #[test]
    fn little_is_leased_in_advance_of_an_account_that_empties() {
        let mut account = Account::default();
        account.answered(&reply(0, 100, 100, 0), START);
        account.ask(request(1), credits(3), START);
        assert_eq!(account.wish(START), (credits(3), credits(3 + 12)));
        account.answered(&reply(0, 7, 7, 0), START);
        assert_eq!(account.wish(START), (credits(3), credits(3 + 1)));
    }

    #[test]
    fn a_closed_account_takes_nothing() {
        let mut account = Account::default();
        account.ask(request(1), credits(3), START);
        assert_eq!(account.close(), [(request(1), Verdict::Closed)]);
        account.lease.granted(credits(10));
        assert_eq!(account.ask(request(2), credits(3), START), Asked::Closed);
        assert_eq!(account.give_back(Nanocredits::MAX), Some(credits(10)));
        assert_eq!(account.give_back(Nanocredits::MAX), None);
    }
}
