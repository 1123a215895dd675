//! The fold over the log, page by page. No I/O: what is not in memory was brought before the page is taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use schemas::books::{Applied, Books, Note, Slots};
use schemas::event::{Event, Header, Payload};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use schemas::money::Nanocredits;

use super::facts::{Facts, microseconds};
use super::read::Read;
use super::report::Report;
use crate::append::follow_up_payload;

/// What the events so far add up to. Of requests only those that have not been compared with their last word yet.
#[derive(Debug, Default)]
pub struct Fold {
    /// By the rules that the ledger appends by.
    pub books: Books,
    /// Last event taken.
    pub position: u64,
    pub(super) recorded_at: Option<DateTime<Utc>>,
    /// Beside `books.holds`.
    pub(super) facts: HashMap<RequestId, Facts>,
    /// When lives ended.
    pub(super) fences: HashMap<EmitterId, u64>,
    /// The last event that moved something that the read models show of an account.
    pub(super) moved: HashMap<AccountId, (u64, DateTime<Utc>)>,
    /// The last authorization of each key.
    pub(super) last_used: HashMap<ApiKeyId, DateTime<Utc>>,
    pub(super) counts: Counts,
    /// Whether what the read models show of a request is no longer gathered: they were compared.
    pub without_rows: bool,
    /// What the ledger has to have said next.
    expected: Option<Expected>,
}

/// How many rows there are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) open_holds: u64,
    pub(super) references: u64,
    pub(super) leases: u64,
    pub(super) notes: u64,
}

#[derive(Debug)]
struct Expected {
    after: u64,
    account_id: AccountId,
    request_id: RequestId,
    payload: Payload,
}

/// What a page of events touched; to be compared, and forgotten where it is final.
#[derive(Debug, Default)]
pub struct Page {
    pub(super) requests: HashSet<RequestId>,
    pub(super) leases: HashSet<(EmitterId, AccountId)>,
    pub(super) notes: Vec<(u64, &'static str)>,
    pub(super) transactions: BTreeMap<u64, Transaction>,
}

/// A row of `read_models.credit_transactions`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Transaction {
    pub(super) account_id: uuid::Uuid,
    pub(super) request_id: Option<uuid::Uuid>,
    pub(super) kind: String,
    pub(super) amount: i64,
    pub(super) reference: String,
    pub(super) made_by: String,
    pub(super) reason: String,
    pub(super) livemode: bool,
    pub(super) created_at: DateTime<Utc>,
}

impl Fold {
    /// Takes the next event. What is wrong with it goes to the report.
    pub fn take(&mut self, read: &Read, page: &mut Page, report: &mut Report) {
        let position = read.position;
        if position != self.position + 1 {
            let missing = match position.saturating_sub(self.position) {
                2 => format!("position {} is missing", self.position + 1),
                _ => format!("positions {} to {} are missing", self.position + 1, position.saturating_sub(1)),
            };
            report.differs(Some(self.position + 1), "positions", missing);
        }
        self.position = position;
        report.events += 1;
        if let Some(before) = self.recorded_at.filter(|before| *before > read.recorded_at) {
            let what = format!("recorded at {}, and the event before it at {before}", read.recorded_at);
            report.differs(Some(position), "recorded_at", what);
        }
        self.recorded_at = Some(read.recorded_at);
        let event = match &read.event {
            Ok(event) => event,
            Err(error) => return report.differs(Some(position), "events", error.as_str()),
        };
        if let Some(column) = read.odd_column {
            report.differs(Some(position), "events", format!("its column {column} is not what its bytes say"));
        }
        self.check_expected(event, report);
        self.apply(read, event, page, report);
    }

    /// Forgets requests of a page whose ending took effect, without a look at their rows: for who only folds.
    pub fn forget_ended(&mut self, page: &Page) {
        for id in &page.requests {
            if self.books.holds.get(id).is_some_and(|hold| hold.slots.has_ended()) {
                self.books.holds.remove(id);
                self.facts.remove(id);
            }
        }
        self.books.references.clear();
    }

    /// After the last event: nothing may be left to say.
    pub(super) fn end(&mut self, report: &mut Report) {
        if let Some(expected) = self.expected.take() {
            expected.is_missing(report);
        }
    }

    fn apply(&mut self, read: &Read, event: &Event, page: &mut Page, report: &mut Report) {
        let (position, header) = (read.position, &event.header);
        let before = header.request_id.and_then(|id| self.books.holds.get(&id)).map(|hold| hold.slots);
        if let (Payload::LeaseGranted(data), Some(account)) = (&event.payload, header.account_id) {
            self.counts.leases += u64::from(!self.books.leases.contains_key(&(data.gateway, account)));
        }
        match self.books.apply(position, event) {
            Ok(Applied::New { follow_up, note, .. }) => {
                self.note(position, note, page, report);
                if let (Some(follow_up), Some(account_id), Some(request_id)) =
                    (follow_up, header.account_id, header.request_id)
                {
                    let payload = follow_up_payload(&self.books, account_id, request_id, follow_up);
                    self.expected = Some(Expected { after: position, account_id, request_id, payload });
                }
            }
            Ok(Applied::Duplicate) => report.differs(Some(position), "events", "its emitter said this seq before"),
            Err(rejected) => report.differs(Some(position), "events", rejected.to_string()),
        }
        if let Some(request_id) = header.request_id {
            self.learn(request_id, before, read, event, page);
        }
        match &event.payload {
            Payload::GatewayFenced(data) => {
                self.fences.entry(data.gateway).or_insert(position);
            }
            Payload::RequestAuthorized(data) => {
                if let Some(key) = data.api_key_id {
                    let time = microseconds(header.time);
                    let last = self.last_used.entry(key).or_insert(time);
                    *last = (*last).max(time);
                }
            }
            Payload::CreditsAdded(data) => {
                let said = (data.amount, data.reference.as_str(), data.by.as_str(), data.why.as_str());
                transaction(page, position, header, "top_up", said);
            }
            Payload::CreditsAdjusted(data) => {
                let said = (data.amount, data.reference.as_str(), data.by.as_str(), data.why.as_str());
                transaction(page, position, header, "adjustment", said);
            }
            _ => {}
        }
        self.changed(read, event, page, report);
    }

    fn note(&mut self, position: u64, note: Option<Note>, page: &mut Page, report: &mut Report) {
        if let Some(note) = note {
            *report.notes.entry(note.name().to_owned()).or_default() += 1;
            self.counts.notes += 1;
            page.notes.push((position, note.name()));
        }
    }

    fn learn(&mut self, request_id: RequestId, before: Option<Slots>, read: &Read, event: &Event, page: &mut Page) {
        let Some(hold) = self.books.holds.get(&request_id) else { return };
        // A request is new where it was neither in memory nor brought back from the log.
        self.counts.requests += u64::from(before.is_none());
        let before = before.unwrap_or_default();
        let is_open = |slots: &Slots| slots.authorization.is_some() && !slots.has_ended();
        match (is_open(&before), is_open(&hold.slots)) {
            (false, true) => self.counts.open_holds += 1,
            (true, false) => self.counts.open_holds = self.counts.open_holds.saturating_sub(1),
            _ => {}
        }
        let facts = self.facts.entry(request_id).or_default();
        let books = (!self.without_rows).then_some(&self.books);
        facts.learn(read.position, read.recorded_at, event, (&before, &hold.slots), books);
        page.requests.insert(request_id);
    }

    /// Each account that the event changed must add up, and what it changed is remembered for the comparison.
    fn changed(&mut self, read: &Read, event: &Event, page: &mut Page, report: &mut Report) {
        // What customers see as available includes leases, so a lease moves nothing in the read models.
        let is_seen =
            !matches!(event.payload, Payload::LeaseGranted(_) | Payload::LeaseReturned(_) | Payload::GatewayFenced(_));
        let changed = &mut self.books.changed;
        for account in changed.accounts.drain() {
            if self.books.accounts.get(&account).is_some_and(|account| !account.adds_up()) {
                report.differs(Some(read.position), "accounts", format!("account {account} does not add up"));
            }
            if is_seen {
                self.moved.insert(account, (read.position, read.recorded_at));
            }
        }
        page.leases.extend(changed.leases.drain());
        self.counts.references += changed.references.len() as u64;
        changed.references.clear();
        changed.holds.clear();
        changed.emitters.clear();
        changed.keys.clear();
        changed.prices.clear();
    }

    fn check_expected(&mut self, event: &Event, report: &mut Report) {
        let Some(expected) = self.expected.take() else { return };
        let header = &event.header;
        let about = (header.account_id, header.request_id);
        if about != (Some(expected.account_id), Some(expected.request_id)) || event.payload != expected.payload {
            expected.is_missing(report);
        }
    }
}

impl Expected {
    fn is_missing(&self, report: &mut Report) {
        let what = format!("{:?} of request {} does not follow", self.payload, self.request_id);
        report.differs(Some(self.after), "events", what);
    }
}

fn transaction(
    page: &mut Page,
    position: u64,
    header: &Header,
    kind: &str,
    (amount, reference, by, why): (Nanocredits, &str, &str, &str),
) {
    let Some(account) = header.account_id else { return };
    let text = |text: &str| text.replace('\0', "\u{fffd}");
    let transaction = Transaction {
        account_id: account.0,
        request_id: header.request_id.map(|id| id.0),
        kind: kind.to_owned(),
        amount: amount.get(),
        reference: text(reference),
        made_by: text(by),
        reason: text(why),
        livemode: header.livemode,
        created_at: microseconds(header.time),
    };
    page.transactions.insert(position, transaction);
}
