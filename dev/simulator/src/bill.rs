//! The provider's own bill: what it was asked, what it did, what that costs.
//!
//! Totals for ever, single requests for the last million. Requests are kept in shards, each with its own lock, so that
//! neither the lock nor the growth of a table is felt by a measurement.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use parking_lot::Mutex;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::usage::{Usage, dollars};

const REMEMBERED: usize = 1_000_000;
const SHARDS: usize = 64;

/// The bill.
#[derive(Debug)]
pub struct Bill {
    catalog: Arc<Catalog>,
    models: Vec<Counters>,
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    completed: AtomicU64,
    errors: AtomicU64,
    cancelled: AtomicU64,
    in_flight: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    cost_picodollars: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    records: HashMap<Box<str>, Record>,
    order: VecDeque<Box<str>>,
}

#[derive(Debug, Clone)]
struct Record {
    model: usize,
    status: Status,
    streamed: bool,
    usage: Usage,
    delivered_chunks: u64,
    cost_picodollars: u64,
    calls: u32,
}

/// How a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not ended.
    InFlight,
    /// Answered in full.
    Completed,
    /// The client went away first.
    Cancelled,
    /// The simulator cut the connection, as told.
    Cut,
    /// The simulator answered with an error, as told.
    Error,
}

/// `GET /stats`.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    #[serde(flatten)]
    all: Sum,
    by_model: BTreeMap<String, Sum>,
}

#[derive(Debug, Default, Serialize)]
struct Sum {
    requests: u64,
    completed: u64,
    errors: u64,
    cancelled: u64,
    in_flight: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(skip)]
    cost_picodollars: u128,
    cost_usd: String,
}

/// `GET /stats?by=request`.
#[derive(Debug, Serialize)]
pub struct Requests {
    requests: BTreeMap<String, Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    model: String,
    status: Status,
    streamed: bool,
    prompt_tokens: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    completion_tokens: u64,
    reasoning_tokens: u64,
    images: u64,
    delivered_chunks: u64,
    cost_usd: String,
    calls: u32,
}

impl Bill {
    /// An empty bill.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        let models = catalog.models().iter().map(|_| Counters::default()).collect();
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { catalog, models, shards, hasher: RandomState::new() }
    }

    /// Opens the record of a call. `usage` is what it uses if it is answered in full, in `chunks` chunks.
    pub fn begin(self: &Arc<Self>, id: Option<&str>, model: usize, usage: Usage, chunks: u64, streamed: bool) -> Call {
        let counters = &self.models[model];
        counters.requests.fetch_add(1, Relaxed);
        counters.in_flight.fetch_add(1, Relaxed);
        let id: Option<Box<str>> = id.map(Into::into);
        if let Some(id) = &id {
            let mut shard = self.shard(id).lock();
            if let Some(record) = shard.records.get_mut(id) {
                record.calls += 1;
                record.status = Status::InFlight;
            } else {
                if shard.order.len() >= REMEMBERED / SHARDS
                    && let Some(oldest) = shard.order.pop_front()
                {
                    shard.records.remove(&oldest);
                }
                shard.order.push_back(id.clone());
                let usage = Usage::default();
                let status = Status::InFlight;
                let record =
                    Record { model, status, streamed, usage, delivered_chunks: 0, cost_picodollars: 0, calls: 1 };
                shard.records.insert(id.clone(), record);
            }
        }
        Call { bill: self.clone(), id, model, usage, chunks, delivered: 0, status: None }
    }

    fn end(&self, call: &Call, status: Status) {
        let used = match status {
            Status::Completed => call.usage,
            // Refused at once costs nothing; what was begun is billed as far as it was delivered.
            Status::Error if call.delivered == 0 => Usage::default(),
            _ => call.usage.share(call.delivered, call.chunks),
        };
        let cost = self.catalog.model(call.model).cost_picodollars(&used);
        let counters = &self.models[call.model];
        counters.prompt_tokens.fetch_add(used.prompt_tokens, Relaxed);
        counters.completion_tokens.fetch_add(used.completion_tokens, Relaxed);
        counters.cost_picodollars.fetch_add(cost, Relaxed);
        match status {
            Status::Completed => counters.completed.fetch_add(1, Relaxed),
            Status::Cancelled => counters.cancelled.fetch_add(1, Relaxed),
            _ => counters.errors.fetch_add(1, Relaxed),
        };
        if let Some(id) = &call.id
            && let Some(record) = self.shard(id).lock().records.get_mut(id)
        {
            record.status = status;
            record.delivered_chunks += call.delivered;
            record.cost_picodollars += cost;
            record.usage.prompt_tokens += used.prompt_tokens;
            record.usage.cached_tokens += used.cached_tokens;
            record.usage.cache_write_tokens += used.cache_write_tokens;
            record.usage.completion_tokens += used.completion_tokens;
            record.usage.reasoning_tokens += used.reasoning_tokens;
            record.usage.images += used.images;
        }
        // Last: who sees nothing in flight sees everything billed.
        counters.in_flight.fetch_sub(1, Release);
    }

    /// The totals.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (model, counters) in self.catalog.models().iter().zip(&self.models) {
            let mut sum = counters.read();
            if sum.requests == 0 {
                continue;
            }
            totals.all.add(&sum);
            sum.cost_usd = dollars(sum.cost_picodollars);
            totals.by_model.insert(model.id.clone(), sum);
        }
        totals.all.cost_usd = dollars(totals.all.cost_picodollars);
        totals
    }

    /// The single requests.
    pub fn requests(&self) -> Requests {
        let mut requests = BTreeMap::new();
        for shard in &self.shards {
            for (id, record) in &shard.lock().records {
                requests.insert(id.to_string(), self.line(record));
            }
        }
        Requests { requests }
    }

    /// Forgets everything that has ended.
    pub fn reset(&self) {
        for counters in &self.models {
            counters.reset();
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.records.retain(|_, record| record.status == Status::InFlight);
            let Shard { records, order } = &mut *shard;
            order.retain(|id| records.contains_key(id));
        }
    }

    fn line(&self, record: &Record) -> Line {
        Line {
            model: self.catalog.model(record.model).id.clone(),
            status: record.status,
            streamed: record.streamed,
            prompt_tokens: record.usage.prompt_tokens,
            cached_tokens: record.usage.cached_tokens,
            cache_write_tokens: record.usage.cache_write_tokens,
            completion_tokens: record.usage.completion_tokens,
            reasoning_tokens: record.usage.reasoning_tokens,
            images: record.usage.images,
            delivered_chunks: record.delivered_chunks,
            cost_usd: dollars(record.cost_picodollars.into()),
            calls: record.calls,
        }
    }

    fn shard(&self, id: &str) -> &Mutex<Shard> {
        let hash = self.hasher.hash_one(id);
        &self.shards[usize::try_from(hash % (SHARDS as u64)).unwrap_or_default()]
    }
}

impl Counters {
    fn read(&self) -> Sum {
        // First: see `Bill::end`.
        let in_flight = self.in_flight.load(Acquire);
        Sum {
            requests: self.requests.load(Relaxed),
            completed: self.completed.load(Relaxed),
            errors: self.errors.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            in_flight,
            prompt_tokens: self.prompt_tokens.load(Relaxed),
            completion_tokens: self.completion_tokens.load(Relaxed),
            cost_picodollars: self.cost_picodollars.load(Relaxed).into(),
            cost_usd: String::new(),
        }
    }

    fn reset(&self) {
        self.requests.store(self.in_flight.load(Relaxed), Relaxed);
        for counter in [&self.completed, &self.errors, &self.cancelled, &self.prompt_tokens, &self.completion_tokens] {
            counter.store(0, Relaxed);
        }
        self.cost_picodollars.store(0, Relaxed);
    }
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.completed += other.completed;
        self.errors += other.errors;
        self.cancelled += other.cancelled;
        self.in_flight += other.in_flight;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost_picodollars += other.cost_picodollars;
    }
}

/// A call that is being answered. Dropped without an end, it was cancelled: its client is gone.
#[derive(Debug)]
#[must_use]
pub struct Call {
    bill: Arc<Bill>,
    id: Option<Box<str>>,
    model: usize,
    usage: Usage,
    chunks: u64,
    delivered: u64,
    status: Option<Status>,
}

impl Call {
    /// One more content chunk goes out.
    pub fn deliver(&mut self) {
        self.delivered += 1;
    }

    /// It ends; only the first end counts.
    pub fn end(&mut self, status: Status) {
        if self.status.is_none() {
            self.status = Some(status);
            self.bill.end(self, status);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Status::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill() -> anyhow::Result<(Arc<Bill>, usize)> {
        let catalog = Arc::new(Catalog::load()?);
        let model = catalog.find("openai/gpt-4o").ok_or_else(|| anyhow::anyhow!("no model"))?;
        Ok((Arc::new(Bill::new(catalog)), model))
    }

    const USAGE: Usage = Usage {
        prompt_tokens: 1000,
        completion_tokens: 800,
        cached_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        images: 0,
    };

    #[test]
    fn a_dropped_call_is_cancelled_and_billed_as_far_as_delivered() -> anyhow::Result<()> {
        let (bill, model) = bill()?;
        let mut call = bill.begin(Some("r"), model, USAGE, 8, true);
        assert_eq!(bill.totals().all.in_flight, 1);
        call.deliver();
        drop(call);
        let totals = bill.totals().all;
        assert_eq!((totals.in_flight, totals.cancelled, totals.completion_tokens), (0, 1, 100));
        // 1,000 × $2.50 + 100 × $10 a million.
        assert_eq!(totals.cost_usd, "0.0035");
        Ok(())
    }

    #[test]
    fn calls_of_one_request_add_up() -> anyhow::Result<()> {
        let (bill, model) = bill()?;
        bill.begin(Some("r"), model, USAGE, 8, false).end(Status::Error);
        bill.begin(Some("r"), model, USAGE, 8, false).end(Status::Completed);
        let requests = bill.requests().requests;
        let line = &requests["r"];
        assert_eq!((line.calls, line.status, line.completion_tokens), (2, Status::Completed, 800));
        bill.reset();
        assert!(bill.requests().requests.is_empty());
        assert_eq!(bill.totals().all.requests, 0);
        Ok(())
    }
}
