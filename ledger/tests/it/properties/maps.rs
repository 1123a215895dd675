//! The reference: the promises of the design in plain maps and whole numbers. It shares no rule with the ledger.

use std::collections::{BTreeMap, BTreeSet};

use schemas::message::RefusalCode;

use super::steps::{Saying, Step, Transition, Which};

/// Nanocredits.
pub(super) const CREDIT: i64 = 1_000_000_000;
/// $15 a million tokens and 60 %: 0.0024 credits.
const TOKEN: i64 = 2_400_000;
const GATES: u16 = 64;
/// Each account has one key with a cap, for ever: so many nanocredits.
pub(super) const CAP: i64 = 30 * CREDIT;

/// All that there is. Accounts, lives and requests are numbers; `writer` knows their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Maps {
    pub(super) accounts: Vec<Money>,
    pub(super) lives: Vec<Life>,
    /// By life and account.
    pub(super) leases: BTreeMap<(usize, usize), Lease>,
    /// Of each account's key with a cap.
    pub(super) keys: Vec<Key>,
    /// Room below a cap, by the request that it was promised to.
    pub(super) promises: BTreeMap<usize, Promise>,
    /// As far as anything of them was applied.
    pub(super) requests: BTreeMap<usize, Request>,
    pub(super) said: Vec<Said>,
    /// What is in the quarantine, in the order in which it came.
    pub(super) kept: Vec<Kept>,
    pub(super) events: u64,
    pub(super) generation: u64,
    /// What the last transition came to.
    pub(super) last: Vec<Action>,
    requests_begun: Vec<Begun>,
    /// What was moved, and what was lost.
    references: BTreeMap<(usize, u8), (i64, i64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) bought: i64,
    pub(super) unleased: i64,
    pub(super) leased: i64,
    pub(super) held: i64,
    pub(super) charged: i64,
    pub(super) lost: i64,
}

/// What a key has spent and holds, nanocredits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) held: i64,
    pub(super) charged: i64,
}

/// To which life, of which account's key, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    pub(super) life: usize,
    pub(super) account: usize,
    pub(super) amount: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) granted: i64,
    pub(super) returned: i64,
    pub(super) charged: i64,
    pub(super) held: i64,
    pub(super) closed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) generation: u64,
    pub(super) fencing: bool,
    pub(super) fenced: bool,
    /// By sequence number: which of `said` was applied under it.
    pub(super) seen: BTreeMap<u64, usize>,
    pub(super) never: BTreeSet<u64>,
    pub(super) quarantined: BTreeSet<u64>,
    open_gates: BTreeSet<u16>,
    next_seq: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) account: usize,
    /// Life, amount, and whether it counts.
    pub(super) authorized: Option<(usize, i64, bool)>,
    pub(super) usage: Option<i64>,
    pub(super) ending: Option<Ending>,
    pub(super) charged: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Deducted(i64),
    Released,
    Expired,
}

/// Who began a request, where, and under which number its authorization was said.
#[derive(Clone, Copy, Debug)]
struct Begun {
    life: usize,
    account: usize,
    seq: u64,
    /// It is the capped key's, and not yet authorized: it was promised so much, or nothing.
    key: Option<Keyed>,
}

/// A request of a key with a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyed {
    Promised,
    /// Its authorization was said.
    Authorized,
}

/// An event of a gateway.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) life: usize,
    pub(super) seq: u64,
    pub(super) account: usize,
    /// Whose key asked, by its account.
    pub(super) key: Option<usize>,
    pub(super) what: What,
}

/// An event that was quarantined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) said: usize,
    /// Nobody has dealt with it.
    pub(super) is_open: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    Authorized { request: usize, hold: i64 },
    Used { request: usize, tokens: u64 },
    Deducted { request: usize, claim: i64 },
    Released { request: usize, never_came: Option<u64> },
    Returned { total: i64 },
}

/// What the writer is told, and what it must answer.
#[derive(Clone, Debug)]
pub(super) enum Action {
    OpenAccount,
    TopUp { account: usize, amount: i64, reference: u8, answer: Result<bool, RefusalCode> },
    Adjust { account: usize, amount: i64, reference: u8, take: bool, answer: Result<bool, RefusalCode> },
    Register,
    Lease { life: usize, account: usize, known: i64, need: i64, want: i64, answer: Result<i64, RefusalCode> },
    Reserve { life: usize, account: usize, request: usize, amount: i64, back: Vec<usize>, answer: Reserved },
    Read { said: usize, recovered: bool },
    Nonsense,
    Replay { said: usize, answer: Result<(), RefusalCode> },
    Dismiss { said: usize, answer: Result<(), RefusalCode> },
    BeginFence { life: usize },
    CloseGate { life: usize, k: u16 },
    CompleteFence { life: usize },
    Expire { request: usize },
    NextGeneration { after: u64 },
    Restart,
    TakeOver,
    SessionEnds,
}

/// Whether it is granted, and what is then charged, and held or promised.
pub(super) type Reserved = Result<(bool, i64, i64), RefusalCode>;

/// Nothing of the event is applied: it goes to the quarantine.
struct Impossible;

/// What the ledger has to say after an event.
enum FollowUp {
    None,
    /// The authorization came after its life was over.
    Expire(usize),
    /// The usage came after its request had ended without a charge.
    PayLate(usize),
}

impl Maps {
    /// The same after a transition.
    pub(super) fn after(mut self, transition: &Transition) -> Self {
        self.last.clear();
        match transition {
            Transition::Batch(steps) => steps.iter().for_each(|step| self.step(step)),
            Transition::Restart => self.last.push(Action::Restart),
            Transition::TakeOver => self.last.push(Action::TakeOver),
            Transition::SessionEnds => self.last.push(Action::SessionEnds),
        }
        self.check();
        self
    }

    /// The end of every story: all that was said comes, every life is over, and every hold ends.
    pub(super) fn finish(mut self) -> Self {
        self.last.clear();
        self.all_comes_backwards();
        for life in (0..self.lives.len()).filter(|life| !self.lives[*life].fenced).collect::<Vec<_>>() {
            self.begin_fence(life);
            self.complete_or_close(life, 0, GATES);
        }
        for request in self.requests.keys().copied().collect::<Vec<_>>() {
            self.expire(request);
        }
        self.check();
        self
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::OpenAccount => {
                self.accounts.push(Money::default());
                self.keys.push(Key::default());
                // Both halves, the sandbox's credits, and the key.
                self.events += 4;
                self.last.push(Action::OpenAccount);
            }
            Step::TopUp { account, credits, reference } => {
                let Some(account) = pick(account, self.accounts.len()) else { return };
                let amount = credits * CREDIT;
                let answer = self.top_up(account, amount, reference);
                self.last.push(Action::TopUp { account, amount, reference, answer });
            }
            Step::Adjust { account, credits, reference, take } => {
                let Some(account) = pick(account, self.accounts.len()) else { return };
                let amount = credits * CREDIT;
                let answer = self.adjust(account, amount, reference, take);
                self.last.push(Action::Adjust { account, amount, reference, take, answer });
            }
            Step::Register => {
                self.lives.push(Life {
                    generation: self.generation,
                    fencing: false,
                    fenced: false,
                    seen: BTreeMap::new(),
                    never: BTreeSet::new(),
                    quarantined: BTreeSet::new(),
                    open_gates: (0..GATES).collect(),
                    next_seq: 1,
                });
                self.last.push(Action::Register);
            }
            Step::Lease { life, account, need, more, unheard } => self.lease(life, account, need, more, unheard),
            Step::Authorize { life, account, hold, comes } => {
                let chosen = pick(life, self.lives.len()).zip(pick(account, self.accounts.len()));
                let Some((life, account)) = chosen else { return };
                let request = self.requests_begun.len();
                self.requests_begun.push(Begun { life, account, seq: self.lives[life].next_seq, key: None });
                self.say(life, account, What::Authorized { request, hold: hold * CREDIT }, comes);
            }
            Step::Use { request, tokens, by } => self.say_of(request, by, |request, _| What::Used { request, tokens }),
            Step::Deduct { request, credits, by } => {
                self.say_of(request, by, |request, _| What::Deducted { request, claim: credits * CREDIT });
            }
            Step::Release { request, names, by } => self.say_of(request, by, |request, begun| What::Released {
                request,
                never_came: (names && by.other_life.is_none()).then_some(begun.seq),
            }),
            // A gateway authorizes no more than was promised.
            Step::AuthorizeAgain { request, .. } if self.is_keyed(request) => {}
            Step::AuthorizeAgain { request, hold, by } => {
                self.say_of(request, by, |request, _| What::Authorized { request, hold: hold * CREDIT });
            }
            Step::Reserve { life, account, credits, again, back } => {
                self.reserve((life, account), credits * CREDIT, again, back);
            }
            Step::AuthorizeReserved { request, comes } => {
                let is_next = |request: &usize| self.requests_begun[*request].key == Some(Keyed::Promised);
                let promised: Vec<usize> = self.promises.keys().copied().filter(is_next).collect();
                let Some(request) = pick(request, promised.len()).map(|index| promised[index]) else { return };
                let Promise { life, account, amount } = self.promises[&request];
                let begun = &mut self.requests_begun[request];
                (begun.key, begun.seq) = (Some(Keyed::Authorized), self.lives[life].next_seq);
                self.say(life, account, What::Authorized { request, hold: amount }, comes);
            }
            Step::Return { life, account, credits, comes } => {
                let chosen = pick(life, self.lives.len()).zip(pick(account, self.accounts.len()));
                let Some((life, account)) = chosen else { return };
                let before = self.leases.get(&(life, account)).map_or(0, |lease| lease.returned);
                self.say(life, account, What::Returned { total: before + credits * CREDIT }, comes);
            }
            Step::Comes { said, recovered } => {
                if let Some(said) = pick(said, self.said.len()) {
                    self.read(said, recovered);
                }
            }
            Step::AllComeBackwards => self.all_comes_backwards(),
            Step::Forge { said } => {
                if let Some(said) = pick(said, self.said.len()) {
                    self.said.push(self.said[said]);
                    self.read(self.said.len() - 1, false);
                }
            }
            Step::Nonsense => self.last.push(Action::Nonsense),
            Step::Replay { kept } => {
                let Some(kept) = pick(kept, self.kept.len()).map(|back| self.kept.len() - 1 - back) else { return };
                let answer = self.replay(kept);
                self.last.push(Action::Replay { said: self.kept[kept].said, answer });
            }
            Step::Dismiss { kept } => {
                let Some(kept) = pick(kept, self.kept.len()).map(|back| self.kept.len() - 1 - back) else { return };
                let answer = self.close(kept);
                self.last.push(Action::Dismiss { said: self.kept[kept].said, answer });
            }
            Step::BeginFence { life } => {
                if let Some(life) = pick(life, self.lives.len()) {
                    self.begin_fence(life);
                }
            }
            Step::CloseGates { life, from, to } => {
                let Some(life) = pick(life, self.lives.len()) else { return };
                if self.lives[life].generation == self.generation {
                    self.complete_or_close(life, from, to);
                }
            }
            Step::CompleteFence { life } => {
                let Some(life) = pick(life, self.lives.len()) else { return };
                if self.lives[life].generation != self.generation {
                    self.complete_or_close(life, 0, GATES);
                }
            }
            Step::Expire { request } => {
                if let Some(request) = pick(request, self.requests_begun.len()) {
                    self.expire(request);
                }
            }
            Step::NextGeneration => {
                self.last.push(Action::NextGeneration { after: self.generation });
                self.generation += 1;
            }
        }
    }

    fn top_up(&mut self, account: usize, amount: i64, reference: u8) -> Result<bool, RefusalCode> {
        if let Some((before, _)) = self.references.get(&(account, reference)) {
            return if *before == amount { Ok(true) } else { Err(RefusalCode::ReferenceReused) };
        }
        if amount <= 0 {
            return Err(RefusalCode::BadAmount);
        }
        self.buy(account, amount, 0, reference);
        Ok(false)
    }

    /// What is leased must come back before the platform bears anything.
    fn adjust(&mut self, account: usize, amount: i64, reference: u8, take: bool) -> Result<bool, RefusalCode> {
        if let Some((moved, lost)) = self.references.get(&(account, reference)) {
            let taken_as_far = take && *moved <= 0 && amount < *moved && moved - lost == amount;
            let same = (*moved, *lost) == (amount, 0) || taken_as_far;
            return if same { Ok(true) } else { Err(RefusalCode::ReferenceReused) };
        }
        let Money { unleased, leased, .. } = self.accounts[account];
        match unleased + amount {
            _ if amount == 0 => return Err(RefusalCode::BadAmount),
            left if left >= 0 => self.buy(account, amount, 0, reference),
            left if left + leased >= 0 || (take && leased > 0) => return Err(RefusalCode::CreditsLeased),
            left if take => self.buy(account, -unleased, -left, reference),
            _ => return Err(RefusalCode::InsufficientCredits),
        }
        Ok(false)
    }

    /// A reference moves credits once.
    fn buy(&mut self, account: usize, moved: i64, lost: i64, reference: u8) {
        self.references.insert((account, reference), (moved, lost));
        let money = &mut self.accounts[account];
        money.bought += moved;
        money.unleased += moved;
        money.lost += lost;
        self.events += 1;
    }

    fn lease(&mut self, life: Which, account: Which, need: i64, more: i64, unheard: bool) {
        let Some((life, account)) = pick(life, self.lives.len()).zip(pick(account, self.accounts.len())) else {
            return;
        };
        let (need, want) = (need * CREDIT, (need + more) * CREDIT);
        let granted = self.leases.get(&(life, account)).map_or(0, |lease| lease.granted);
        let known = if unheard { granted / 2 } else { granted };
        let is_open = |life: &Life| !life.fencing && !life.fenced;
        let answer = if is_open(&self.lives[life]) && self.lives[life].generation == self.generation {
            // What was granted and not heard of is there already.
            let (need, want) = ((known + need - granted).max(0), (known + want - granted).max(0));
            let money = &mut self.accounts[account];
            let gateways = self.lives.iter().filter(|life| is_open(life)).count() as i64;
            let grant = match money.unleased - need {
                ..0 => 0,
                rest => need + (want - need).max(0).min(rest / (gateways + 1)),
            };
            if grant > 0 {
                money.unleased -= grant;
                money.leased += grant;
                self.leases.entry((life, account)).or_default().granted += grant;
                self.events += 1;
            }
            Ok(granted + grant)
        } else {
            Err(RefusalCode::NotRegistered)
        };
        self.last.push(Action::Lease { life, account, known, need, want, answer });
    }

    fn is_keyed(&self, request: Which) -> bool {
        pick(request, self.requests_begun.len()).is_some_and(|request| self.requests_begun[request].key.is_some())
    }

    /// One question about the key of an account: what is given back first, then the room for one request, whole or not at all.
    fn reserve(&mut self, of: (Which, Which), amount: i64, again: Option<Which>, back: Option<Which>) {
        let Some((life, account)) = pick(of.0, self.lives.len()).zip(pick(of.1, self.accounts.len())) else { return };
        let own = |promise: &Promise| promise.life == life && promise.account == account;
        // What is under way is never given back.
        let unused: Vec<usize> = self
            .promises
            .iter()
            .filter(|(request, promise)| own(promise) && self.requests_begun[**request].key == Some(Keyed::Promised))
            .map(|(request, _)| *request)
            .collect();
        let back: Vec<usize> =
            back.and_then(|back| pick(back, unused.len())).map(|index| unused[index]).into_iter().collect();
        // Nobody asks again for what is under way.
        let is_asked_again = |request: &usize| {
            let begun = self.requests_begun[*request];
            let is_known = self.requests.get(request).is_some_and(|known| known.authorized.is_some());
            begun.account == account && (begun.key == Some(Keyed::Promised) || begun.key.is_some() && is_known)
        };
        let known: Vec<usize> = (0..self.requests_begun.len()).filter(is_asked_again).collect();
        let request = match again.and_then(|again| pick(again, known.len())) {
            Some(index) => known[index],
            None => {
                self.requests_begun.push(Begun { life, account, seq: 0, key: Some(Keyed::Promised) });
                self.requests_begun.len() - 1
            }
        };
        let is_open = |life: &Life| !life.fencing && !life.fenced && life.generation == self.generation;
        let answer = if is_open(&self.lives[life]) {
            for request in &back {
                self.promises.remove(request);
            }
            let is_authorized = self.requests.get(&request).is_some_and(|known| known.authorized.is_some());
            let Key { held, charged } = self.keys[account];
            let asked = Promise { life, account, amount };
            let before = self.promises.get(&request).copied();
            // A promise to another life, or of another amount, is made anew.
            let own = before.map_or(0, |before| before.amount);
            let left = (CAP - charged - held - (self.promised(account) - own)).max(0);
            let known = is_authorized || before == Some(asked);
            let granted = known || (0..=left).contains(&amount);
            if granted && !known {
                self.promises.insert(request, asked);
            }
            Ok((granted, charged, held + self.promised(account)))
        } else {
            Err(RefusalCode::NotRegistered)
        };
        self.last.push(Action::Reserve { life, account, request, amount, back, answer });
    }

    /// Of an account's key, in all.
    fn promised(&self, account: usize) -> i64 {
        self.promises.values().filter(|promise| promise.account == account).map(|promise| promise.amount).sum()
    }

    fn say_of(&mut self, request: Which, by: Saying, what: impl FnOnce(usize, Begun) -> What) {
        let Some(request) = pick(request, self.requests_begun.len()) else { return };
        let begun = self.requests_begun[request];
        let life = by.other_life.and_then(|life| pick(life, self.lives.len())).unwrap_or(begun.life);
        let account = by.astray.and_then(|account| pick(account, self.accounts.len())).unwrap_or(begun.account);
        self.say(life, account, what(request, begun), by.comes);
    }

    fn say(&mut self, life: usize, account: usize, what: What, comes: bool) {
        let seq = self.lives[life].next_seq;
        self.lives[life].next_seq += 1;
        let key = what.request().and_then(|request| {
            let begun = self.requests_begun[request];
            begun.key.map(|_| begun.account)
        });
        self.said.push(Said { life, seq, account, key, what });
        if comes {
            self.read(self.said.len() - 1, false);
        }
    }

    fn all_comes_backwards(&mut self) {
        for said in (0..self.said.len()).rev() {
            let Said { life, seq, .. } = self.said[said];
            if !self.lives[life].seen.contains_key(&seq) && !self.lives[life].quarantined.contains(&seq) {
                self.read(said, false);
            }
        }
    }

    /// The ledger reads an event.
    fn read(&mut self, index: usize, recovered: bool) {
        self.last.push(Action::Read { said: index, recovered });
        let said = self.said[index];
        let life = &mut self.lives[said.life];
        if life.quarantined.contains(&said.seq) {
            return;
        }
        if let Some(before) = life.seen.get(&said.seq) {
            if *before != index {
                self.keep(index);
            }
            return;
        }
        match self.apply(said) {
            Ok(follow_up) => self.appended(index, follow_up),
            Err(Impossible) => self.keep(index),
        }
    }

    fn appended(&mut self, index: usize, follow_up: FollowUp) {
        let said = self.said[index];
        let life = &mut self.lives[said.life];
        life.seen.insert(said.seq, index);
        life.never.remove(&said.seq);
        self.events += 1;
        // What is authorized is held, and what has ended without a charge needs nothing; a deduction waits for its authorization.
        if let Some(request) = said.what.request()
            && let Some(known) = self.requests.get(&request)
            && (known.authorized.is_some() || matches!(known.ending, Some(Ending::Released | Ending::Expired)))
        {
            self.promises.remove(&request);
        }
        self.follow(follow_up);
    }

    fn keep(&mut self, index: usize) {
        let said = self.said[index];
        self.lives[said.life].quarantined.insert(said.seq);
        self.kept.push(Kept { said: index, is_open: true });
    }

    /// As if it came now; but what is still impossible stays where it is.
    fn replay(&mut self, kept: usize) -> Result<(), RefusalCode> {
        let Kept { said: index, is_open } = self.kept[kept];
        if !is_open {
            return Err(RefusalCode::EntryClosed);
        }
        let said = self.said[index];
        if self.lives[said.life].seen.contains_key(&said.seq) {
            return Err(RefusalCode::StillRefused);
        }
        let follow_up = self.apply(said).map_err(|Impossible| RefusalCode::StillRefused)?;
        self.lives[said.life].quarantined.remove(&said.seq);
        self.appended(index, follow_up);
        self.close(kept)
    }

    fn close(&mut self, kept: usize) -> Result<(), RefusalCode> {
        let kept = &mut self.kept[kept];
        if !kept.is_open {
            return Err(RefusalCode::EntryClosed);
        }
        kept.is_open = false;
        self.events += 1;
        Ok(())
    }

    fn apply(&mut self, said: Said) -> Result<FollowUp, Impossible> {
        match said.what {
            What::Authorized { request, hold } => {
                let mut known = self.request(request, said.account)?;
                if known.authorized.is_some() {
                    return Ok(FollowUp::None);
                }
                let counts = !self.lives[said.life].fenced;
                known.authorized = Some((said.life, hold, counts));
                let is_open = matches!(known.ending, None | Some(Ending::Deducted(_)));
                if is_open && counts {
                    match (known.ending, known.usage) {
                        // The hold begins and ends in one: only the charge must be free.
                        (Some(_), Some(usage)) => self.take(said, usage.min(hold), hold)?,
                        _ => self.take(said, hold, hold)?,
                    }
                }
                self.requests.insert(request, known);
                match (known.ending, known.usage) {
                    (Some(Ending::Deducted(_)), Some(usage)) if counts => self.charge(request, hold, usage),
                    _ if is_open && !counts => return Ok(FollowUp::Expire(request)),
                    _ => {}
                }
            }
            What::Used { request, tokens } => {
                let mut known = self.request(request, said.account)?;
                if known.usage.is_some() {
                    return Ok(FollowUp::None);
                }
                let usage = tokens as i64 * TOKEN;
                known.usage = Some(usage);
                self.requests.insert(request, known);
                match (known.holds(), known.ending) {
                    (Some(hold), Some(Ending::Deducted(_))) => self.charge(request, hold, usage),
                    (_, Some(Ending::Released | Ending::Expired)) => return Ok(FollowUp::PayLate(request)),
                    _ => {}
                }
            }
            What::Deducted { request, claim } => {
                let mut known = self.request(request, said.account)?;
                if claim < 0 {
                    return Err(Impossible);
                }
                if known.ending.is_some() {
                    return Ok(FollowUp::None);
                }
                let hold = known.holds();
                known.ending = Some(Ending::Deducted(claim));
                self.requests.insert(request, known);
                if let (Some(hold), Some(usage)) = (hold, known.usage) {
                    self.charge(request, hold, usage);
                }
            }
            What::Released { request, never_came } => {
                let mut known = self.request(request, said.account)?;
                if known.ending.is_none() {
                    let hold = known.holds();
                    known.ending = Some(Ending::Released);
                    self.requests.insert(request, known);
                    if let Some(hold) = hold {
                        self.give_back(request, known, hold);
                    }
                }
                if let Some(seq) = never_came.filter(|seq| !self.lives[said.life].seen.contains_key(seq)) {
                    self.lives[said.life].never.insert(seq);
                }
            }
            What::Returned { total } => {
                let lease = self.leases.get_mut(&(said.life, said.account)).ok_or(Impossible)?;
                let more = total - lease.returned;
                if !lease.closed && more > 0 {
                    if more > lease.free() {
                        return Err(Impossible);
                    }
                    lease.returned = total;
                    self.accounts[said.account].leased -= more;
                    self.accounts[said.account].unleased += more;
                }
            }
        }
        Ok(FollowUp::None)
    }

    /// What the ledger says by itself right after an event.
    fn follow(&mut self, follow_up: FollowUp) {
        match follow_up {
            FollowUp::None => {}
            FollowUp::Expire(request) => self.expire_now(request),
            FollowUp::PayLate(request) => self.pay_late(request),
        }
    }

    /// A request as far as it is known; its account is that of the first event that is applied.
    fn request(&self, request: usize, account: usize) -> Result<Request, Impossible> {
        let fresh = Request { account, authorized: None, usage: None, ending: None, charged: None };
        let known = self.requests.get(&request).copied().unwrap_or(fresh);
        if known.account == account { Ok(known) } else { Err(Impossible) }
    }

    /// Sets a hold aside out of a lease, of which so much must be free.
    fn take(&mut self, said: Said, needed: i64, hold: i64) -> Result<(), Impossible> {
        let Said { life, account, .. } = said;
        if needed == 0 && (hold == 0 || !self.leases.contains_key(&(life, account))) {
            return Ok(());
        }
        let lease = self.leases.get_mut(&(life, account)).ok_or(Impossible)?;
        if lease.free() < needed {
            return Err(Impossible);
        }
        lease.held += hold;
        self.accounts[account].leased -= hold;
        self.accounts[account].held += hold;
        if let Some(key) = said.key {
            self.keys[key].held += hold;
        }
        Ok(())
    }

    /// Gives what was held back: to its lease, or to the account once the life is over.
    fn give_back(&mut self, request: usize, known: Request, hold: i64) {
        let Some((life, ..)) = known.authorized.filter(|_| hold > 0) else { return };
        let key = self.key_of(request);
        let money = &mut self.accounts[known.account];
        if let Some(lease) = self.leases.get_mut(&(life, known.account)) {
            lease.held -= hold;
            money.held -= hold;
            if let Some(key) = key {
                self.keys[key].held -= hold;
            }
            *(if lease.closed { &mut money.unleased } else { &mut money.leased }) += hold;
        }
    }

    /// Whose key with a cap asked.
    fn key_of(&self, request: usize) -> Option<usize> {
        let begun = self.requests_begun[request];
        begun.key.map(|_| begun.account)
    }

    /// The hold ends. At most as much as it is charged; the rest of the usage is the platform's loss.
    fn charge(&mut self, request: usize, hold: i64, usage: i64) {
        let charged = usage.min(hold);
        let Some(known) = self.requests.get_mut(&request) else { return };
        known.charged = Some(charged);
        let known = *known;
        self.give_back(request, known, hold);
        let key = self.key_of(request);
        let money = &mut self.accounts[known.account];
        money.lost += usage - charged;
        let lease = known.authorized.and_then(|(life, ..)| self.leases.get_mut(&(life, known.account)));
        if let Some(lease) = lease {
            lease.charged += charged;
            money.charged += charged;
            if let Some(key) = key {
                self.keys[key].charged += charged;
            }
            *(if lease.closed { &mut money.unleased } else { &mut money.leased }) -= charged;
        }
    }

    /// Used by a request that has ended without a charge: the account pays what it can, at most the hold. Below a key's cap the
    /// room may be promised to others by now: the platform bears it.
    fn pay_late(&mut self, request: usize) {
        let known = self.requests[&request];
        let usage = known.usage.unwrap_or(0);
        let due = match (self.key_of(request), known.authorized) {
            (Some(_), _) => 0,
            (None, Some((_, hold, _))) => usage.min(hold),
            (None, None) => usage,
        };
        let money = &mut self.accounts[known.account];
        let paid = due.min(money.unleased);
        money.bought -= paid;
        money.unleased -= paid;
        money.lost += usage - paid;
        self.events += 1;
    }

    fn begin_fence(&mut self, life: usize) {
        if !self.lives[life].fenced {
            self.lives[life].fencing = true;
            self.last.push(Action::BeginFence { life });
        }
    }

    /// Goes on with a fence: gates are read back closed, or the stream that they were in was given up.
    fn complete_or_close(&mut self, life: usize, from: u16, to: u16) {
        if !self.lives[life].fencing || self.lives[life].fenced {
            return;
        }
        if self.lives[life].generation == self.generation {
            for k in from..to {
                self.lives[life].open_gates.remove(&k);
                self.last.push(Action::CloseGate { life, k });
            }
        } else {
            self.lives[life].open_gates.clear();
            self.last.push(Action::CompleteFence { life });
        }
        if self.lives[life].open_gates.is_empty() {
            self.fenced(life);
        }
    }

    fn fenced(&mut self, index: usize) {
        let life = &mut self.lives[index];
        life.fenced = true;
        let accounted =
            |seq: &u64| life.seen.contains_key(seq) || life.never.contains(seq) || life.quarantined.contains(seq);
        let last = (1..life.next_seq).rev().find(accounted).unwrap_or(0);
        let missing: Vec<u64> = (1..=last).filter(|seq| !accounted(seq)).collect();
        life.never.extend(missing);
        for ((_, account), lease) in self.leases.iter_mut().filter(|((life, _), _)| *life == index) {
            let free = lease.free();
            lease.closed = true;
            self.accounts[*account].leased -= free;
            self.accounts[*account].unleased += free;
        }
        // Whatever of it can still come authorizes nothing.
        self.promises.retain(|_, promise| promise.life != index);
        self.events += 1;
    }

    /// The ledger's keeper asks for this only of lives that are over; what has ended meanwhile is left as it is.
    fn expire(&mut self, request: usize) {
        let Some(known) = self.requests.get(&request) else { return };
        if known.authorized.is_none_or(|(life, ..)| !self.lives[life].fenced) {
            return;
        }
        self.last.push(Action::Expire { request });
        let has_ended = known.charged.is_some() || matches!(known.ending, Some(Ending::Released | Ending::Expired));
        if !has_ended {
            self.expire_now(request);
        }
    }

    fn expire_now(&mut self, request: usize) {
        self.events += 1;
        let mut known = self.requests[&request];
        let hold = known.holds();
        known.ending = Some(Ending::Expired);
        match (hold, known.usage) {
            (Some(hold), Some(usage)) => {
                self.requests.insert(request, known);
                self.charge(request, hold, usage);
            }
            (Some(hold), None) => {
                self.requests.insert(request, known);
                self.give_back(request, known, hold);
            }
            (None, usage) => {
                self.requests.insert(request, known);
                if usage.is_some() {
                    self.pay_late(request);
                }
            }
        }
    }

    /// What always holds.
    fn check(&self) {
        for money in &self.accounts {
            let parts = [money.unleased, money.leased, money.held, money.charged];
            assert!(parts.iter().all(|part| *part >= 0) && parts.iter().sum::<i64>() == money.bought, "{money:?}");
        }
        for (account, key) in self.keys.iter().enumerate() {
            let promised = self.promised(account);
            let parts = [key.charged, key.held, promised];
            let is_within = parts.iter().all(|part| *part >= 0) && parts.iter().sum::<i64>() <= CAP;
            assert!(is_within, "{key:?} and {promised} promised are more than the cap");
        }
    }
}

impl What {
    /// Of which request.
    fn request(self) -> Option<usize> {
        match self {
            Self::Authorized { request, .. }
            | Self::Used { request, .. }
            | Self::Deducted { request, .. }
            | Self::Released { request, .. } => Some(request),
            Self::Returned { .. } => None,
        }
    }
}

impl Request {
    /// What is set aside for it now.
    fn holds(&self) -> Option<i64> {
        let over = self.charged.is_some() || matches!(self.ending, Some(Ending::Released | Ending::Expired));
        self.authorized.filter(|(_, _, counts)| *counts && !over).map(|(_, hold, _)| hold)
    }
}

impl Lease {
    fn free(&self) -> i64 {
        if self.closed { 0 } else { self.granted - self.returned - self.charged - self.held }
    }
}

fn pick(which: Which, of: usize) -> Option<usize> {
    (of > 0).then(|| usize::from(which) % of)
}
