use chrono::{DateTime, Utc};
use schemas::money::Nanocredits;
use schemas::price_book::{Kind, PriceBook, Status};
use schemas::tier::Tier;
use uuid::Uuid;

use super::year::id_at;
use crate::chance::Chance;

/// How many accounts there are at most.
const ACCOUNTS: usize = 5_000;

/// Someone who asks.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) counterpart: Uuid,
    pub(super) tier: Tier,
    pub(super) livemode: bool,
    pub(super) keys: Vec<Key>,
    /// The models that it uses, the one that it likes best first.
    pub(super) models: Vec<String>,
    /// What it buys at a time.
    pub(super) top_up: Nanocredits,
    pub(super) bought: i64,
    pub(super) charged: i64,
    /// Of the last event that moved its money.
    pub(super) position: u64,
    pub(super) updated_at: DateTime<Utc>,
}

/// A key of its.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: Uuid,
    pub(super) hash: String,
    pub(super) prefix: String,
    pub(super) name: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) last_used_at: Option<DateTime<Utc>>,
}

/// Who comes next: the account of rank n as often as 1/n, about.
pub(super) struct Crowd {
    through: Vec<u64>,
    /// Of all of them, in the year.
    requests: u64,
    models: Vec<String>,
}

impl Crowd {
    pub(super) fn new(book: &PriceBook, requests: u64) -> Self {
        let mut sum = 0;
        let through = (0..ACCOUNTS as u64).map(|rank| {
            sum += weight(rank);
            sum
        });
        let sold = book.models.values().filter(|model| model.status == Status::Active);
        // Some are everybody's darlings: those that cost little come first.
        let mut models: Vec<_> = sold.map(|model| (dearness(model), model.id.clone())).collect();
        models.sort();
        Self { through: through.collect(), requests, models: models.into_iter().map(|(_, id)| id).collect() }
    }

    /// A rank.
    pub(super) fn next(&self, chance: &mut Chance) -> usize {
        let all = self.through.last().copied().unwrap_or(1);
        let at = chance.below(all);
        self.through.partition_point(|through| *through <= at)
    }

    /// The account of a rank, as it signs up.
    pub(super) fn account(&self, chance: &mut Chance, rank: usize, now: DateTime<Utc>) -> Account {
        let of_rank = [(10, Tier::Team), (200, Tier::Pro), (1_500, Tier::Starter)];
        let tier = of_rank.iter().find(|(ranks, _)| rank < *ranks).map_or(Tier::Free, |(_, tier)| *tier);
        let liked = 1 + chance.below(4) as usize;
        let models = (0..liked).map(|_| {
            let (a, b) = (chance.below(self.models.len() as u64), chance.below(self.models.len() as u64));
            self.models[a.min(b) as usize].clone()
        });
        let models = models.collect();
        let keys = 1 + chance.below(if rank < 200 { 6 } else { 2 });
        // A credit or two a request, for two weeks.
        let all = u128::from(self.through.last().copied().unwrap_or(1));
        let expected = u128::from(self.requests) * u128::from(weight(rank as u64)) / all;
        let top_up = 10 + expected as i64 / 20;
        Account {
            id: id_at(chance, now),
            counterpart: id_at(chance, now),
            tier,
            livemode: !chance.permille(40),
            keys: (0..keys).map(|number| Key::issued(chance, number, now)).collect(),
            models,
            top_up: Nanocredits::new(top_up * 1_000_000_000),
            bought: 0,
            charged: 0,
            position: 0,
            updated_at: now,
        }
    }
}

impl Key {
    fn issued(chance: &mut Chance, number: u64, now: DateTime<Utc>) -> Self {
        let mut digits = String::new();
        for _ in 0..4 {
            digits += &format!("{:016x}", chance.next());
        }
        Self {
            id: id_at(chance, now),
            prefix: format!("lyr_live_{}", &digits[..4]),
            hash: digits,
            name: format!("key {}", number + 1),
            created_at: now,
            last_used_at: None,
        }
    }
}

fn weight(rank: u64) -> u64 {
    1_000_000_000 / (rank + 5)
}

fn dearness(model: &schemas::price_book::Model) -> (bool, i64) {
    (model.kind != Kind::Language, model.prices.output.map_or(0, |price| price.get()))
}
