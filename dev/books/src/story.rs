//! A plausible year of a business, told to the ledger's own core: commands are decided and events are read by the code that
//! does so in production, so that what comes out is a log that a ledger could have written.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, anyhow};
use chrono::{DateTime, Utc};
use ledger::append::{Batch, Command, State, Written};
use ledger::command::{FirstPriceBook, GrantLease, RegisterLife};
use ledger::life::{BeginFence, Expire};
use schemas::api_key::Secret;
use schemas::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use schemas::message::{
    AccountOpenedReply, AddCredits, AdjustCredits, IssueKey, KeyIssuedReply, LeaseReply, LeaseRequest, OpenAccount,
    PublishPriceBook,
};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE};
use schemas::subject::{Cell, GATES};
use schemas::tier::Tier;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::chance::{Chance, Clock, new_id, set_ids};
use crate::gateway::{Gateway, Stream};
use crate::request::{Next, Request};

/// The first second of the story, 2026-01-01: the log is the same whenever it is made.
const BEGIN: i64 = 1_767_225_600;
/// Lives that serve at the same time.
const GATEWAYS: usize = 3;
/// Requests in flight.
const IN_FLIGHT: usize = 96;
/// Events between two deaths of gateways, about; fewer where the log is short.
const LIFETIME: u64 = 15_000;
/// An account for so many events, and at least twenty.
const EVENTS_AN_ACCOUNT: u64 = 2_000;

/// Everything that the story goes on from.
pub struct Story {
    /// The ledger's side.
    pub state: State,
    chance: Chance,
    clock: Clock,
    stream: Stream,
    gateways: Vec<Gateway>,
    accounts: Vec<(AccountId, ApiKeyId)>,
    in_flight: Vec<Request>,
    /// Their gateway is over; some of it is still said.
    orphans: Vec<(Request, EmitterId)>,
    /// The gateways that say it.
    sleepers: HashMap<EmitterId, Gateway>,
    /// Held open until they are expired.
    abandoned: Vec<RequestId>,
    /// Not to be forgotten when their ending took effect.
    keep: HashSet<RequestId>,
    references: u64,
    wanted: u64,
}

impl Story {
    /// The beginning of a log of about so many events.
    pub fn new(seed: u64, wanted: u64) -> Result<Self> {
        let mut chance = Chance::new(seed);
        let begin = DateTime::<Utc>::from_timestamp(BEGIN, 0).ok_or_else(|| anyhow!("no such time"))?;
        set_ids(u64::try_from(begin.timestamp_millis())?, chance.next());
        let mut state = State::default();
        state.own.emitter = EmitterId(new_id());
        state.head.generation = 1;
        Ok(Self {
            state,
            chance,
            clock: Clock(begin),
            stream: Stream { cell: Cell::new("books")?, generation: 1, seq: 0 },
            gateways: Vec::new(),
            accounts: Vec::new(),
            in_flight: Vec::new(),
            orphans: Vec::new(),
            sleepers: HashMap::new(),
            abandoned: Vec::new(),
            keep: HashSet::new(),
            references: 0,
            wanted,
        })
    }

    /// The next so many events, or a few more; the caller stores them. `written` is what has to be stored.
    pub fn tell(&mut self, events: usize) -> Result<Written> {
        let mut state = std::mem::take(&mut self.state);
        let mut batch = Batch::new(&mut state, self.clock.0, new_id);
        if self.accounts.is_empty() {
            self.found(&mut batch)?;
        }
        while batch.written.events.len() < events {
            self.clock.tick(&mut self.chance);
            self.step(&mut batch)?;
        }
        let written = batch.written;
        self.state = state;
        Ok(written)
    }

    /// After a batch was stored: what will not be looked at again is forgotten.
    pub fn stored(&mut self) {
        self.state.books.changed = Default::default();
        let keep = &self.keep;
        self.state.books.holds.retain(|id, hold| !hold.slots.has_ended() || keep.contains(id));
        self.state.lives.retain(|_, life| life.state != ledger::life::LifeState::Fenced);
        self.state.books.references.clear();
        self.state.books.keys.clear();
    }

    fn found(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        decide::<IgnoredAny>(batch, &FirstPriceBook)?;
        for number in 0..(self.wanted / EVENTS_AN_ACCOUNT).max(20) {
            self.clock.tick(&mut self.chance);
            let tier = [Tier::Free, Tier::Starter, Tier::Pro, Tier::Team][self.chance.below(4) as usize];
            let reference = Some(format!("customer-{number}"));
            let opened: AccountOpenedReply =
                decide(batch, &OpenAccount { tier, reference, by: by(), why: "signed up".to_owned() })?;
            let mut random = [0; 32];
            for part in random.chunks_mut(8) {
                part.copy_from_slice(&self.chance.next().to_be_bytes());
            }
            let secret = Secret::from_random(true, &random);
            let issued: KeyIssuedReply = decide(
                batch,
                &IssueKey {
                    account_id: opened.account_id,
                    key_hash: secret.hash(),
                    key_prefix: secret.prefix().to_owned(),
                    name: "first".to_owned(),
                    expires_at: None,
                    restrictions: Default::default(),
                    by: by(),
                    why: "signed up".to_owned(),
                },
            )?;
            self.accounts.push((opened.account_id, issued.api_key_id));
        }
        for _ in 0..GATEWAYS {
            let gateway = self.register(batch)?;
            self.gateways.push(gateway);
        }
        Ok(())
    }

    fn register(&mut self, batch: &mut Batch<'_>) -> Result<Gateway> {
        let gateway = Gateway::new();
        let gates = (self.stream.seq + 1..=self.stream.seq + u64::from(GATES)).collect();
        self.stream.seq += u64::from(GATES);
        let life =
            RegisterLife { gateway: gateway.emitter, process: new_id(), generation: self.stream.generation, gates };
        decide::<IgnoredAny>(batch, &life)?;
        Ok(gateway)
    }

    fn step(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        if self.chance.below(LIFETIME.min(self.wanted / 8).max(100)) == 0 {
            self.fence(batch)?;
        } else if self.chance.below(self.wanted.max(4_000) / 4) == 0 {
            let margin = DEFAULT_MARGIN_BPS + 100 * u32::try_from(self.chance.below(10))?;
            let catalogue = FIRST_CATALOGUE.to_owned();
            let publish =
                PublishPriceBook { catalogue, default_margin_bps: margin, by: by(), why: "new margin".to_owned() };
            decide::<IgnoredAny>(batch, &publish)?;
        } else if self.chance.permille(1) {
            self.adjust(batch)?;
        } else if self.chance.permille(6) {
            self.give_back(batch)?;
        } else if !self.orphans.is_empty() && self.chance.permille(10) {
            self.late(batch)?;
        } else if self.abandoned.len() > 24 {
            let requests = self.abandoned.drain(..16).collect();
            decide::<IgnoredAny>(batch, &Expire { requests })?;
        } else if self.in_flight.len() < IN_FLIGHT && self.chance.permille(400) {
            self.begin(batch)?;
        } else if !self.in_flight.is_empty() {
            let index = self.chance.below(self.in_flight.len() as u64) as usize;
            self.go_on(batch, index)?;
        }
        Ok(())
    }

    /// Money is set aside where the gateway's lease is short, and bought where the account is.
    fn begin(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        // One customer is a fifth of the business, the others share the rest.
        let share = self.accounts.len() as u64;
        let pick = if self.chance.permille(200) { 0 } else { self.chance.below(share) as usize };
        let (account_id, key) = self.accounts[pick];
        let gateway = self.chance.below(self.gateways.len() as u64) as usize;
        let book = batch.state.books.current_prices().ok_or_else(|| anyhow!("no prices"))?.book.clone();
        let request = Request::begin(&mut self.chance, &book, account_id, key, gateway)?;
        let emitter = self.gateways[gateway].emitter;
        let (mut granted_total, free) = match batch.state.books.leases.get(&(emitter, account_id)) {
            Some(lease) => (lease.granted, lease.free()?),
            None => (Nanocredits::ZERO, Nanocredits::ZERO),
        };
        // What is on its way through the stream will need it as well.
        let mut promised = request.hold;
        for other in self.in_flight.iter().filter(|other| other.gateway == gateway && other.account_id == account_id) {
            if other.todo.contains(&Next::Authorize) {
                promised = promised.plus(other.hold)?;
            }
        }
        let mut short = promised.minus_or_zero(free);
        while short > Nanocredits::ZERO {
            let want = Nanocredits::new(short.get().saturating_mul(20));
            let ask = LeaseRequest { gateway: emitter, account_id, granted_total, need: short, want };
            let reply: LeaseReply = decide(batch, &GrantLease(ask))?;
            if reply.granted_total > granted_total {
                granted_total = reply.granted_total;
                short = Nanocredits::ZERO;
            } else {
                self.top_up(batch, account_id, Nanocredits::new(short.get().saturating_mul(200)))?;
            }
        }
        self.in_flight.push(request);
        Ok(())
    }

    fn top_up(&mut self, batch: &mut Batch<'_>, account_id: AccountId, amount: Nanocredits) -> Result<()> {
        self.references += 1;
        let reference = format!("payment-{}", self.references);
        let add = AddCredits { account_id, amount, reference, by: by(), why: "paid".to_owned() };
        decide::<IgnoredAny>(batch, &add)?;
        Ok(())
    }

    fn adjust(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let (account_id, _) = self.accounts[self.chance.below(self.accounts.len() as u64) as usize];
        self.references += 1;
        let reference = format!("ticket-{}", self.references);
        let amount = Nanocredits::from_credits(1 + i64::try_from(self.chance.below(5))?)?;
        let adjust = AdjustCredits {
            account_id,
            amount,
            loss: Nanocredits::ZERO,
            take_what_there_is: false,
            reference,
            request_id: None,
            by: by(),
            why: "goodwill".to_owned(),
        };
        decide::<IgnoredAny>(batch, &adjust)?;
        Ok(())
    }

    /// A gateway returns a third of what it has free for an account that asks for nothing at the moment.
    fn give_back(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let (account_id, _) = self.accounts[self.chance.below(self.accounts.len() as u64) as usize];
        let index = self.chance.below(self.gateways.len() as u64) as usize;
        let busy = |request: &Request| request.gateway == index && request.account_id == account_id;
        let emitter = self.gateways[index].emitter;
        let Some(lease) = batch.state.books.leases.get(&(emitter, account_id)).copied() else { return Ok(()) };
        let free = lease.free()?.get();
        if free < 3 || self.in_flight.iter().any(busy) {
            return Ok(());
        }
        let gateway = &mut self.gateways[index];
        let total = gateway.returned.entry(account_id).or_default();
        *total += free / 3;
        let data = schemas::event::LeaseReturned { returned_total: Nanocredits::new(*total) };
        let said = gateway.say(&self.stream, self.clock.0, account_id, None, &data)?;
        self.read(batch, said);
        Ok(())
    }

    fn go_on(&mut self, batch: &mut Batch<'_>, index: usize) -> Result<()> {
        let request = &mut self.in_flight[index];
        let Some(next) = request.todo.pop() else { return Ok(()) };
        let gateway = &mut self.gateways[request.gateway];
        let said = say(gateway, &self.stream, self.clock.0, request, next)?;
        if request.todo.is_empty() {
            let done = self.in_flight.swap_remove(index);
            self.keep.remove(&done.request_id);
        } else {
            self.keep.insert(request.request_id);
        }
        self.read(batch, said);
        Ok(())
    }

    /// One of the gateways dies, or only sleeps: half of what it had in flight is said after its fence.
    fn fence(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let index = self.chance.below(self.gateways.len() as u64) as usize;
        let fresh = self.register(batch)?;
        let dead = std::mem::replace(&mut self.gateways[index], fresh);
        decide::<IgnoredAny>(batch, &BeginFence { gateway: dead.emitter })?;
        for k in 0..GATES {
            let closed = self.stream.closed(dead.emitter, k);
            batch.read(closed, None);
        }
        let (gone, stay) = std::mem::take(&mut self.in_flight).into_iter().partition(|r: &Request| r.gateway == index);
        self.in_flight = stay;
        let gone: Vec<Request> = gone;
        for request in gone {
            if self.chance.permille(500) {
                self.keep.insert(request.request_id);
                self.orphans.push((request, dead.emitter));
            } else {
                self.keep.remove(&request.request_id);
            }
        }
        let is_open = |hold: &&schemas::books::Hold| {
            hold.gateway == Some(dead.emitter) && hold.slots.authorization.is_some() && !hold.slots.has_ended()
        };
        let mut open: Vec<RequestId> =
            batch.state.books.holds.values().filter(is_open).map(|hold| hold.request_id).collect();
        open.sort_unstable();
        self.abandoned.extend(open);
        self.sleepers.insert(dead.emitter, dead);
        Ok(())
    }

    /// A gateway that only slept says the next thing.
    fn late(&mut self, batch: &mut Batch<'_>) -> Result<()> {
        let index = self.chance.below(self.orphans.len() as u64) as usize;
        let (request, emitter) = &mut self.orphans[index];
        let gateway = self.sleepers.get_mut(emitter).ok_or_else(|| anyhow!("a gateway is missing"))?;
        let Some(next) = request.todo.pop() else { return Ok(()) };
        let said = say(gateway, &self.stream, self.clock.0, request, next)?;
        if request.todo.is_empty() {
            let (done, _) = self.orphans.swap_remove(index);
            self.keep.remove(&done.request_id);
        }
        self.read(batch, said);
        Ok(())
    }

    fn read(&mut self, batch: &mut Batch<'_>, said: crate::gateway::Said) {
        let (message, event) = self.stream.carry(said);
        batch.read(message, event);
    }
}

fn say(
    gateway: &mut Gateway,
    stream: &Stream,
    now: DateTime<Utc>,
    request: &Request,
    next: Next,
) -> Result<crate::gateway::Said> {
    let (account, id) = (request.account_id, Some(request.request_id));
    match next {
        Next::Authorize => gateway.say(stream, now, account, id, &request.authorized()),
        Next::Use => gateway.say(stream, now, account, id, &request.used()),
        Next::Deduct | Next::DeductAgain => gateway.say(stream, now, account, id, &request.deducted()),
        Next::Release => gateway.say(stream, now, account, id, &request.released()),
    }
}

fn decide<T: DeserializeOwned>(batch: &mut Batch<'_>, command: &impl Command) -> Result<T> {
    let answer = command.decide(batch).map_err(|refusal| anyhow!("{:?}: {}", refusal.code, refusal.message))?;
    Ok(serde_json::from_slice(&answer)?)
}

fn by() -> String {
    "books".to_owned()
}
