use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemas::books::Moved;
use schemas::event::{ApiKeyIssued, Event, Header, Payload};
use schemas::ids::ApiKeyId;
use schemas::money::Picodollars;
use uuid::Uuid;

use super::facts::text;
use super::journal::entry_name;
use super::{
    AccountChange, Changes, KeyChange, Memory, NewAccount, NewKey, Poison, Request, Standing, Transaction,
    TransactionKind,
};

/// A batch in the making: events go in one by one, what they change comes out at the end.
#[derive(Debug)]
pub struct Batch<'a> {
    memory: &'a mut Memory,
    /// As they were, and as they are now.
    requests: HashMap<Uuid, (Option<Request>, Request)>,
    /// What the accounts in it have now.
    standings: HashMap<Uuid, Standing>,
    changes: Changes,
}

/// Where an event lies in the log.
#[derive(Clone, Copy)]
struct Place {
    position: i64,
    recorded_at: DateTime<Utc>,
}

impl<'a> Batch<'a> {
    /// A batch, with all that is known already of the requests and accounts in it.
    pub fn new(memory: &'a mut Memory, known: Vec<Request>, standings: HashMap<Uuid, Standing>) -> Self {
        let requests =
            known.into_iter().map(|request| (request.request_id, (Some(request.clone()), request))).collect();
        Self { memory, requests, standings, changes: Changes::default() }
    }

    /// Takes the next event. On `Err` it has changed nothing.
    pub fn take(&mut self, position: i64, recorded_at: DateTime<Utc>, event: &Event) -> Result<(), Poison> {
        let (header, place) = (&event.header, Place { position, recorded_at });
        match &event.payload {
            Payload::RequestAuthorized(data) => {
                self.request(place, event)?;
                self.key_used(data.api_key_id, header.time);
            }
            Payload::UsageRecorded(_)
            | Payload::CreditsDeducted(_)
            | Payload::AuthorizationReleased(_)
            | Payload::AuthorizationExpired(_) => self.request(place, event)?,
            // What customers see as available includes leases, so a lease moves nothing here; nor does what an operator did
            // about the quarantine, since the event that was replayed is in the log itself.
            Payload::LeaseGranted(_)
            | Payload::LeaseReturned(_)
            | Payload::QuarantineReplayed(_)
            | Payload::QuarantineDismissed(_) => {}
            Payload::GatewayFenced(data) => {
                if self.memory.fenced.insert(data.gateway, position).is_none() {
                    self.changes.fenced.push((data.gateway.0, position));
                }
            }
            Payload::AccountOpened(data) => {
                let opened = NewAccount {
                    account_id: account_id(header)?,
                    tier: data.tier.name(),
                    livemode: header.livemode,
                    position,
                    updated_at: recorded_at,
                };
                self.standings.insert(opened.account_id, Standing::default());
                self.enter(place, event, opened.account_id, Moved::default(), Standing::default());
                self.changes.opened.push(opened);
            }
            Payload::TierChanged(data) => {
                let tier = Some(data.tier.name());
                self.account(place, account_id(header)?, tier, &Moved::default())?;
            }
            Payload::ApiKeyIssued(data) => self.issued(header, data)?,
            Payload::ApiKeyRevoked(data) => {
                self.changes.keys.entry(data.api_key_id.0).or_default().revoked = true;
            }
            Payload::CreditsAdded(data) => {
                let about = (data.reference.as_str(), data.by.as_str(), data.why.as_str());
                let moved = Moved { added: data.amount, ..Moved::default() };
                self.bought(place, event, TransactionKind::TopUp, moved, about)?;
            }
            Payload::CreditsAdjusted(data) => {
                let about = (data.reference.as_str(), data.by.as_str(), data.why.as_str());
                let moved = Moved { adjusted: data.amount, lost: data.loss, ..Moved::default() };
                self.bought(place, event, TransactionKind::Adjustment, moved, about)?;
            }
            Payload::PriceBookPublished(data) => {
                let book = Arc::new(data.book.clone());
                self.memory.prices.insert(book.version, book.clone());
                self.changes.prices.push((book, position));
            }
        }
        Ok(())
    }

    /// All that the batch changes.
    pub fn finish(self) -> Result<Changes, Poison> {
        let mut changes = self.changes;
        for (before, now) in self.requests.into_values() {
            if before.as_ref() == Some(&now) {
                continue;
            }
            changes.rollups.change(before.as_ref(), &now)?;
            changes.requests.push(now);
        }
        // One order for all who write: two transactions cannot wait for each other's rows.
        changes.requests.sort_unstable_by_key(|request| request.request_id);
        Ok(changes)
    }

    fn request(&mut self, place: Place, event: &Event) -> Result<(), Poison> {
        let header = &event.header;
        let fresh = Request::new(header)?;
        let before = self.requests.get(&fresh.request_id).map_or(&fresh, |(_, now)| now);
        let (next, moved) = before.after(place.position, header, &event.payload, self.memory)?;
        self.post(place, event, next.account_id, moved)?;
        match self.requests.entry(next.request_id) {
            Entry::Occupied(mut entry) => entry.get_mut().1 = next,
            Entry::Vacant(entry) => {
                entry.insert((None, next));
            }
        }
        Ok(())
    }

    /// What an event moved, in the account's sums and in the journal.
    fn post(&mut self, place: Place, event: &Event, account_id: Uuid, moved: Moved) -> Result<(), Poison> {
        if moved.is_nothing() {
            return Ok(());
        }
        let after = self.standings.get(&account_id).copied().unwrap_or_default().after(&moved)?;
        // The provider's cost is not the account's.
        let of_account = Moved { cost: Picodollars::ZERO, ..moved };
        if !of_account.is_nothing() {
            self.account(place, account_id, None, &of_account)?;
        }
        self.standings.insert(account_id, after);
        self.enter(place, event, account_id, moved, after);
        Ok(())
    }

    fn enter(&mut self, place: Place, event: &Event, account_id: Uuid, moved: Moved, after: Standing) {
        self.changes.journal.push(super::Entry {
            position: place.position,
            recorded_at: place.recorded_at,
            account_id,
            request_id: event.header.request_id.map(|id| id.0),
            livemode: event.header.livemode,
            entry: entry_name(&event.payload),
            moved,
            after,
        });
    }

    fn account(
        &mut self,
        place: Place,
        account_id: Uuid,
        tier: Option<&'static str>,
        moved: &Moved,
    ) -> Result<(), Poison> {
        let sum = self.changes.accounts.get(&account_id).cloned().unwrap_or_default();
        let sum = AccountChange {
            tier: tier.or(sum.tier),
            bought: sum.bought.plus(moved.bought()?)?,
            charged: sum.charged.plus(moved.charged)?,
            held: sum.held.plus(moved.held)?,
            lost: sum.lost.plus(moved.lost)?,
            position: place.position,
            updated_at: place.recorded_at,
        };
        self.changes.accounts.insert(account_id, sum);
        Ok(())
    }

    fn bought(
        &mut self,
        place: Place,
        event: &Event,
        kind: TransactionKind,
        moved: Moved,
        (reference, made_by, reason): (&str, &str, &str),
    ) -> Result<(), Poison> {
        let header = &event.header;
        let account_id = account_id(header)?;
        let amount = moved.bought()?;
        self.post(place, event, account_id, moved)?;
        self.changes.transactions.push(Transaction {
            position: place.position,
            account_id,
            request_id: header.request_id.map(|id| id.0),
            kind,
            amount,
            reference: text(reference),
            made_by: text(made_by),
            reason: text(reason),
            livemode: header.livemode,
            created_at: header.time,
        });
        Ok(())
    }

    fn issued(&mut self, header: &Header, data: &ApiKeyIssued) -> Result<(), Poison> {
        self.changes.issued.push(NewKey {
            id: data.api_key_id.0,
            account_id: account_id(header)?,
            key_hash: data.key_hash.to_string(),
            key_prefix: text(&data.key_prefix),
            name: text(&data.name),
            expires_at: data.expires_at,
            created_at: header.time,
        });
        Ok(())
    }

    fn key_used(&mut self, key: Option<ApiKeyId>, time: DateTime<Utc>) {
        if let Some(key) = key {
            let change: &mut KeyChange = self.changes.keys.entry(key.0).or_default();
            change.last_used_at = change.last_used_at.max(Some(time));
        }
    }
}

fn account_id(header: &Header) -> Result<Uuid, Poison> {
    Ok(header.account_id.ok_or(Poison::Missing("account"))?.0)
}
