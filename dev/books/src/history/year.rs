use std::sync::Arc;

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use uuid::Uuid;

use super::calendar::Calendar;
use super::people::{Account, Crowd};
use super::usage::{Asked, Outcome, ask};
use crate::chance::Chance;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 3_600_000;
/// Prices change once: at this part of all requests, to this margin.
const NEW_PRICES: (u64, u64, u32) = (2, 5, DEFAULT_MARGIN_BPS - 1_000);

/// A year, step by step.
pub struct Year {
    chance: Chance,
    calendar: Calendar,
    crowd: Crowd,
    book: Arc<PriceBook>,
    requests: u64,
    told: u64,
    position: u64,
    /// By rank.
    pub(super) accounts: Vec<Option<Account>>,
}

/// Something that happens: one event or a few.
pub struct Step {
    /// Where its first event lies in the log.
    pub position: u64,
    /// When its events are recorded.
    pub time: DateTime<Utc>,
    /// What it is.
    pub what: What,
}

/// Ranks name accounts.
pub enum What {
    /// A price book is published.
    Prices(Arc<PriceBook>),
    /// An account is opened, and its keys are issued: an event each.
    SignUp(usize),
    /// Credits are added.
    TopUp(usize, Nanocredits),
    /// Credits are given.
    Goodwill(usize, Nanocredits),
    /// A request, from its authorization to its end.
    Request(Box<Request>),
}

/// One request.
pub struct Request {
    pub(super) id: Uuid,
    pub(super) rank: usize,
    pub(super) key: usize,
    pub(super) model: String,
    pub(super) book: Arc<PriceBook>,
    pub(super) asked: Asked,
    pub(super) ended_at: DateTime<Utc>,
}

impl Year {
    /// The year that ends at a full hour, with so many requests; the same for the same seed.
    ///
    /// # Errors
    /// When the first catalogue is none.
    pub fn new(seed: u64, until: DateTime<Utc>, requests: u64) -> Result<Self> {
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS)?;
        let crowd = Crowd::new(&book, requests);
        Ok(Self {
            chance: Chance::new(seed),
            calendar: Calendar::new(until, requests),
            accounts: (0..5_000).map(|_| None).collect(),
            crowd,
            book: book.into(),
            requests,
            told: 0,
            position: 0,
        })
    }

    /// When it begins.
    pub fn begin(&self) -> DateTime<Utc> {
        self.calendar.begin
    }

    /// Tells all of it, in the order of a log. Gives the last position.
    ///
    /// # Errors
    /// Those of `hear`, and when a request cannot be rated.
    pub async fn tell(&mut self, mut hear: impl AsyncFnMut(&Self, Step) -> Result<()>) -> Result<u64> {
        let begin = self.calendar.begin;
        let step = self.step(begin, 1, What::Prices(self.book.clone()));
        hear(self, step).await?;
        for hour in 0..self.calendar.requests.len() {
            let (count, start) = (self.calendar.requests[hour], begin + TimeDelta::hours(i64::try_from(hour)?));
            for number in 0..count {
                if self.told == self.requests * NEW_PRICES.0 / NEW_PRICES.1 {
                    self.book = PriceBook::from_catalogue(FIRST_CATALOGUE, 2, NEW_PRICES.2)?.into();
                    let step = self.step(start, 1, What::Prices(self.book.clone()));
                    hear(self, step).await?;
                }
                // One after the other, so that the log is in the order of time.
                let slice = HOUR_MS / count;
                let within = number * slice + if slice > 0 { self.chance.below(slice) } else { 0 };
                let now = start + TimeDelta::milliseconds(i64::try_from(within)?);
                self.one(now, &mut hear).await?;
                self.told += 1;
            }
        }
        Ok(self.position)
    }

    /// One request, and what it needs before.
    async fn one(&mut self, now: DateTime<Utc>, hear: &mut impl AsyncFnMut(&Self, Step) -> Result<()>) -> Result<()> {
        let rank = self.crowd.next(&mut self.chance);
        if self.accounts[rank].is_none() {
            let account = self.crowd.account(&mut self.chance, rank, now);
            let events = 1 + account.keys.len() as u64;
            self.accounts[rank] = Some(account);
            let step = self.step(now, events, What::SignUp(rank));
            self.account(rank)?.position = step.position;
            hear(self, step).await?;
        }
        let chance = &mut self.chance;
        let account = self.accounts[rank].as_mut().context("it has signed up")?;
        let key = chance.below(account.keys.len() as u64).min(chance.below(account.keys.len() as u64)) as usize;
        let liked = chance.below(account.models.len() as u64).min(chance.below(account.models.len() as u64)) as usize;
        let model = account.models[liked].clone();
        let asked = ask(chance, &self.book, self.book.models.get(&model).context("it is sold")?)?;
        let (short, top_up) = (asked.hold.get() - (account.bought - account.charged), account.top_up.get());
        if short > 0 {
            let amount = Nanocredits::new((short / top_up + 1) * top_up);
            self.bought(rank, now, amount, What::TopUp(rank, amount), hear).await?;
        } else if self.chance.below(20_000) == 0 {
            let amount = Nanocredits::new(5_000_000_000);
            self.bought(rank, now, amount, What::Goodwill(rank, amount), hear).await?;
        }
        let request = Request {
            id: id_at(&mut self.chance, now),
            rank,
            key,
            model,
            book: self.book.clone(),
            ended_at: now + TimeDelta::milliseconds(i64::try_from(asked.latency_ms)?),
            asked,
        };
        let (events, charged) = match &request.asked.outcome {
            Outcome::Used { rating, .. } => (3, rating.charge.get()),
            Outcome::Released(_) => (2, 0),
        };
        let step = self.step(now, events, What::Request(request.into()));
        let last = step.position + events - 1;
        let account = self.account(rank)?;
        account.charged += charged;
        (account.position, account.updated_at) = (last, now);
        account.keys[key].last_used_at = Some(now);
        hear(self, step).await
    }

    async fn bought(
        &mut self,
        rank: usize,
        now: DateTime<Utc>,
        amount: Nanocredits,
        what: What,
        hear: &mut impl AsyncFnMut(&Self, Step) -> Result<()>,
    ) -> Result<()> {
        let step = self.step(now, 1, what);
        let account = self.account(rank)?;
        account.bought += amount.get();
        (account.position, account.updated_at) = (step.position, now);
        hear(self, step).await
    }

    pub(super) fn of(&self, rank: usize) -> Result<&Account> {
        self.accounts[rank].as_ref().context("it has signed up")
    }

    fn account(&mut self, rank: usize) -> Result<&mut Account> {
        self.accounts[rank].as_mut().context("it has signed up")
    }

    fn step(&mut self, time: DateTime<Utc>, events: u64, what: What) -> Step {
        let position = self.position + 1;
        self.position += events;
        Step { position, time, what }
    }
}

/// A UUIDv7 of a time.
pub(super) fn id_at(chance: &mut Chance, time: DateTime<Utc>) -> Uuid {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&chance.next().to_be_bytes());
    bytes[8..].copy_from_slice(&chance.next().to_be_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(time.timestamp_millis().unsigned_abs(), &bytes).into_uuid()
}
