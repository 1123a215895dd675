use std::sync::Arc;

use super::moved::Moved;
use super::slots::{Change, Ending, FollowUp, Slots};
use super::state::{Account, ApiKey, Closed, ClosedAs, Hold, KeySpending, Lease, Published, Referenced};
use super::{Books, Note};
use crate::event::{Event, Header, Payload, RequestAuthorized, UsageRecorded};
use crate::ids::{AccountId, EmitterId, RequestId};
use crate::key_limits::KeyPeriod;
use crate::money::{MoneyError, Nanocredits};
use crate::rate::{RateError, rate};
use crate::seq_set::SeqSet;
use crate::tier::Tier;

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It changed the books.
    New {
        /// What the ledger has to append right after it.
        follow_up: Option<FollowUp>,
        /// What is odd about it.
        note: Option<Note>,
        /// The money that it moved.
        moved: Moved,
    },
    /// This emitter's `seq` was applied before.
    Duplicate,
}

/// Why an event cannot be true. It goes to the quarantine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The envelope lacks an id that this type needs.
    #[error("the envelope names no {0}")]
    Missing(&'static str),
    /// No such account.
    #[error("the account does not exist")]
    UnknownAccount,
    /// The request belongs to another account.
    #[error("the request belongs to another account")]
    WrongAccount,
    /// Live and test money never meet.
    #[error("livemode is not the account's")]
    WrongLivemode,
    /// More was set aside or returned than the lease had.
    #[error("the lease has not as much")]
    InsufficientLease,
    /// More was taken than the account had.
    #[error("the account has not as much")]
    InsufficientCredits,
    /// It cannot be rated.
    #[error("the usage cannot be rated: {0}")]
    Unratable(RateError),
    /// No such price book.
    #[error("the price book's version is unknown")]
    UnknownPriceVersion,
    /// An amount that makes no sense here.
    #[error("the amount is out of range")]
    BadAmount,
    /// It exists already, or does not exist yet.
    #[error("it contradicts what is in the books: {0}")]
    Contradiction(&'static str),
}

impl From<MoneyError> for Rejected {
    fn from(_: MoneyError) -> Self {
        Self::BadAmount
    }
}

impl Books {
    /// Applies one event at its position. On `Err` nothing has changed.
    pub fn apply(&mut self, position: u64, event: &Event) -> Result<Applied, Rejected> {
        let header = &event.header;
        if self.emitters.get(&header.emitter).is_some_and(|emitter| emitter.seen.contains(header.seq)) {
            return Ok(Applied::Duplicate);
        }
        let Outcome { follow_up, note, moved } = match &event.payload {
            Payload::RequestAuthorized(data) => self.authorized(position, header, data)?,
            Payload::UsageRecorded(data) => self.used(header, data)?,
            Payload::CreditsDeducted(data) => {
                if data.amount.is_negative() {
                    return Err(Rejected::BadAmount);
                }
                self.fill(header, |slots| slots.fill_ending(Ending::Deducted(data.amount)))?
            }
            Payload::AuthorizationReleased(data) => {
                let outcome = self.fill(header, |slots| slots.fill_ending(Ending::Released))?;
                if let Some(seq) = data.never_came {
                    self.never_came(header.emitter, &[(seq, seq)]);
                }
                outcome
            }
            Payload::AuthorizationExpired(_) => self.fill(header, |slots| slots.fill_ending(Ending::Expired))?,
            Payload::LeaseGranted(data) => self.granted(header, data.gateway, data.granted_total)?,
            Payload::LeaseReturned(data) => self.returned(header, data.returned_total)?,
            Payload::GatewayFenced(data) => self.fenced(data.gateway, &data.missing)?,
            Payload::AccountOpened(data) => {
                let reference = data.reference.as_deref();
                self.opened(header, data.tier, data.counterpart, reference)?
            }
            Payload::TierChanged(data) => self.change(header, |account| {
                account.tier = data.tier;
                Ok(())
            })?,
            Payload::ApiKeyIssued(data) => self.issued(
                header,
                ApiKey {
                    api_key_id: data.api_key_id,
                    account_id: account_id(header)?,
                    key_hash: data.key_hash,
                    key_prefix: data.key_prefix.clone(),
                    name: data.name.clone(),
                    expires_at: data.expires_at,
                    restrictions: data.restrictions.clone(),
                    revoked: false,
                    created_at: header.time,
                },
            )?,
            Payload::ApiKeyRevoked(data) => {
                let key = self.keys.get_mut(&data.api_key_id).ok_or(Rejected::Contradiction("no such key"))?;
                key.revoked = true;
                self.changed.keys.insert(data.api_key_id);
                Outcome::default()
            }
            Payload::CreditsAdded(data) => {
                if data.amount.get() <= 0 {
                    return Err(Rejected::BadAmount);
                }
                let moved = Moved { added: data.amount, ..Moved::default() };
                self.added(position, header, moved, &data.reference)?
            }
            Payload::CreditsAdjusted(data) => {
                let moved = Moved { adjusted: data.amount, lost: data.loss, ..Moved::default() };
                self.added(position, header, moved, &data.reference)?
            }
            Payload::PriceBookPublished(data) => {
                data.book.check().map_err(|_| Rejected::Contradiction("not a price book"))?;
                if self.prices.keys().next_back().is_some_and(|last| *last >= data.book.version) {
                    return Err(Rejected::Contradiction("the version is not new"));
                }
                let book = Arc::new(data.book.clone());
                self.changed.prices.insert(book.version);
                self.prices.insert(book.version, Published { position, book });
                Outcome::default()
            }
            Payload::QuarantineReplayed(data) => {
                if data.position >= position {
                    return Err(Rejected::Contradiction("what was replayed comes before its replay"));
                }
                let said = Some((data.emitter, data.seq));
                let closed = Closed { position, closed_as: ClosedAs::Replayed, sha256: data.sha256, said };
                self.closed(data.entry, closed)?
            }
            Payload::QuarantineDismissed(data) => {
                let said = data.emitter.zip(data.seq);
                let closed = Closed { position, closed_as: ClosedAs::Dismissed, sha256: data.sha256, said };
                self.closed(data.entry, closed)?
            }
        };
        self.see(header.emitter, header.seq);
        Ok(Applied::New { follow_up, note, moved })
    }

    fn see(&mut self, emitter_id: EmitterId, seq: u64) {
        let emitter = self.emitters.entry(emitter_id).or_default();
        emitter.seen.insert(seq);
        emitter.never.remove(seq);
        self.changed.emitters.insert(emitter_id);
    }

    fn never_came(&mut self, emitter_id: EmitterId, ranges: &[(u64, u64)]) {
        let emitter = self.emitters.entry(emitter_id).or_default();
        for (start, end) in SeqSet::from_ranges(ranges).ranges() {
            for seq in *start..=*end {
                if !emitter.seen.contains(seq) {
                    emitter.never.insert(seq);
                }
            }
        }
        self.changed.emitters.insert(emitter_id);
    }

    fn authorized(&mut self, position: u64, header: &Header, data: &RequestAuthorized) -> Result<Outcome, Rejected> {
        if data.hold.is_negative() {
            return Err(Rejected::BadAmount);
        }
        let fenced = self.emitters.get(&header.emitter).is_some_and(|emitter| emitter.fenced);
        let (request_id, mut hold) = self.hold(header)?;
        if hold.slots.authorization.is_none() {
            hold.gateway = Some(header.emitter);
            hold.authorized_at = Some(position);
            hold.key_period = hold.key_period.or_else(|| self.key_period(data.api_key_id, request_id));
        }
        let change = hold.slots.fill_authorization(data.hold, !fenced)?;
        self.settle(request_id, hold, change)
    }

    fn used(&mut self, header: &Header, data: &UsageRecorded) -> Result<Outcome, Rejected> {
        let prices = self.prices.get(&data.price_version).ok_or(Rejected::UnknownPriceVersion)?;
        let rating = rate(&prices.book, &data.model, &data.usage).map_err(Rejected::Unratable)?;
        let (request_id, mut hold) = self.hold(header)?;
        hold.key_period = hold.key_period.or_else(|| self.key_period(data.api_key_id, request_id));
        let change = hold.slots.fill_usage(rating.charge)?;
        let mut outcome = self.settle(request_id, hold, change)?;
        if outcome.note != Some(Note::SecondUsage) {
            outcome.moved.cost = rating.cost_usd;
        }
        outcome.note = outcome.note.or((rating.charge != data.charge).then_some(Note::RatingDiffers));
        Ok(outcome)
    }

    fn fill(
        &mut self,
        header: &Header,
        fill: impl FnOnce(&mut Slots) -> Result<Change, MoneyError>,
    ) -> Result<Outcome, Rejected> {
        let (request_id, mut hold) = self.hold(header)?;
        let change = fill(&mut hold.slots)?;
        self.settle(request_id, hold, change)
    }

    /// The request of an envelope, as it is or fresh.
    fn hold(&self, header: &Header) -> Result<(RequestId, Hold), Rejected> {
        let account = self.account(header)?;
        let request_id = header.request_id.ok_or(Rejected::Missing("request"))?;
        let hold = self.holds.get(&request_id).copied().unwrap_or(Hold {
            request_id,
            account_id: account.account_id,
            gateway: None,
            authorized_at: None,
            key_period: None,
            slots: Slots::default(),
        });
        if hold.account_id != account.account_id { Err(Rejected::WrongAccount) } else { Ok((request_id, hold)) }
    }

    /// Moves what a fill changed between lease, hold and charge. The only place where a request moves money.
    fn settle(&mut self, request_id: RequestId, hold: Hold, change: Change) -> Result<Outcome, Rejected> {
        if change.lost != Nanocredits::ZERO && change.held == Nanocredits::ZERO && change.charged == Nanocredits::ZERO {
            // A hold of nothing: no lease is needed for it, and there may be none.
            let account = self.accounts.get_mut(&hold.account_id).ok_or(Rejected::UnknownAccount)?;
            account.lost = account.lost.plus(change.lost)?;
            self.changed.accounts.insert(account.account_id);
        } else if change.held != Nanocredits::ZERO || change.charged != Nanocredits::ZERO {
            let mut account = self.accounts.get(&hold.account_id).ok_or(Rejected::UnknownAccount)?.clone();
            let lease_key = (hold.gateway.ok_or(Rejected::Missing("gateway"))?, hold.account_id);
            let mut lease = *self.leases.get(&lease_key).ok_or(Rejected::InsufficientLease)?;
            // What leaves the free part: the hold that begins, or the charge less the hold that ends.
            let taken = change.held.plus(change.charged)?;
            if lease.free()? < taken && !lease.closed {
                return Err(Rejected::InsufficientLease);
            }
            lease.held = lease.held.plus(change.held)?;
            lease.charged = lease.charged.plus(change.charged)?;
            account.held = account.held.plus(change.held)?;
            account.charged = account.charged.plus(change.charged)?;
            account.lost = account.lost.plus(change.lost)?;
            if lease.closed {
                account.unleased = account.unleased.minus(taken)?;
            } else {
                account.leased = account.leased.minus(taken)?;
            }
            if !account.adds_up() || lease.held.is_negative() {
                return Err(Rejected::InsufficientCredits);
            }
            if let Some(key_period) = hold.key_period {
                self.spend(key_period, change.held, change.charged)?;
            }
            self.leases.insert(lease_key, lease);
            self.changed.leases.insert(lease_key);
            self.changed.accounts.insert(account.account_id);
            self.accounts.insert(account.account_id, account);
        }
        self.holds.insert(request_id, hold);
        self.changed.holds.insert(request_id);
        Ok(Outcome { follow_up: change.follow_up, note: change.note, moved: change.into() })
    }

    /// Counts what a key with a cap has set aside and spent.
    fn spend(&mut self, period: KeyPeriod, held: Nanocredits, charged: Nanocredits) -> Result<(), MoneyError> {
        let before = self.spending.get(&period).copied().unwrap_or_default();
        let spending = KeySpending { held: before.held.plus(held)?, charged: before.charged.plus(charged)? };
        self.spending.insert(period, spending);
        self.changed.spending.insert(period);
        Ok(())
    }

    fn granted(
        &mut self,
        header: &Header,
        gateway: EmitterId,
        granted_total: Nanocredits,
    ) -> Result<Outcome, Rejected> {
        if self.emitters.get(&gateway).is_some_and(|emitter| emitter.fenced) {
            return Err(Rejected::Contradiction("granted after the fence"));
        }
        let key = (gateway, account_id(header)?);
        let mut lease = self.leases.get(&key).copied().unwrap_or(Lease {
            granted: Nanocredits::ZERO,
            returned: Nanocredits::ZERO,
            charged: Nanocredits::ZERO,
            held: Nanocredits::ZERO,
            closed: false,
        });
        let more = granted_total.minus_or_zero(lease.granted);
        lease.granted = lease.granted.max(granted_total);
        self.change(header, |account| {
            account.unleased = account.unleased.minus(more)?;
            account.leased = account.leased.plus(more)?;
            Ok(())
        })?;
        self.leases.insert(key, lease);
        self.changed.leases.insert(key);
        Ok(Outcome::default())
    }

    fn returned(&mut self, header: &Header, returned_total: Nanocredits) -> Result<Outcome, Rejected> {
        let key = (header.emitter, account_id(header)?);
        let mut lease = *self.leases.get(&key).ok_or(Rejected::InsufficientLease)?;
        let more = returned_total.minus_or_zero(lease.returned);
        if lease.closed {
            let note = (more > Nanocredits::ZERO).then_some(Note::ReturnedAfterFence);
            return Ok(Outcome { note, ..Outcome::default() });
        }
        if more > lease.free()? {
            return Err(Rejected::InsufficientLease);
        }
        lease.returned = lease.returned.max(returned_total);
        self.change(header, |account| {
            account.leased = account.leased.minus(more)?;
            account.unleased = account.unleased.plus(more)?;
            Ok(())
        })?;
        self.leases.insert(key, lease);
        self.changed.leases.insert(key);
        Ok(Outcome::default())
    }

    fn fenced(&mut self, gateway: EmitterId, missing: &[(u64, u64)]) -> Result<Outcome, Rejected> {
        if self.emitters.get(&gateway).is_some_and(|emitter| emitter.fenced) {
            return Err(Rejected::Contradiction("fenced twice"));
        }
        let mut taken_back = Vec::new();
        for (key, lease) in self.leases.iter().filter(|(key, lease)| key.0 == gateway && !lease.closed) {
            let free = lease.free()?;
            let mut account = self.accounts.get(&key.1).ok_or(Rejected::UnknownAccount)?.clone();
            account.leased = account.leased.minus(free)?;
            account.unleased = account.unleased.plus(free)?;
            if !account.adds_up() {
                return Err(Rejected::InsufficientCredits);
            }
            taken_back.push((*key, account));
        }
        for (key, account) in taken_back {
            if let Some(lease) = self.leases.get_mut(&key) {
                lease.closed = true;
            }
            self.changed.leases.insert(key);
            self.changed.accounts.insert(account.account_id);
            self.accounts.insert(account.account_id, account);
        }
        self.emitters.entry(gateway).or_default().fenced = true;
        self.never_came(gateway, missing);
        Ok(Outcome::default())
    }

    fn closed(&mut self, entry: u64, closed: Closed) -> Result<Outcome, Rejected> {
        if self.closed.contains_key(&entry) {
            return Err(Rejected::Contradiction("the entry of the quarantine was dealt with before"));
        }
        self.changed.closed.insert(entry);
        self.closed.insert(entry, closed);
        Ok(Outcome::default())
    }

    fn opened(
        &mut self,
        header: &Header,
        tier: Tier,
        counterpart: AccountId,
        reference: Option<&str>,
    ) -> Result<Outcome, Rejected> {
        let account_id = account_id(header)?;
        if self.accounts.contains_key(&account_id) {
            return Err(Rejected::Contradiction("the account exists"));
        }
        if reference.is_some() && self.accounts.values().any(|account| account.reference.as_deref() == reference) {
            return Err(Rejected::Contradiction("the reference was used before"));
        }
        let nothing = Nanocredits::ZERO;
        let account = Account {
            account_id,
            livemode: header.livemode,
            tier,
            counterpart,
            reference: reference.map(str::to_owned),
            bought: nothing,
            unleased: nothing,
            leased: nothing,
            held: nothing,
            charged: nothing,
            lost: nothing,
        };
        self.accounts.insert(account_id, account);
        self.changed.accounts.insert(account_id);
        Ok(Outcome::default())
    }

    fn issued(&mut self, header: &Header, key: ApiKey) -> Result<Outcome, Rejected> {
        self.account(header)?;
        if self.keys.contains_key(&key.api_key_id) {
            return Err(Rejected::Contradiction("the key exists"));
        }
        self.changed.keys.insert(key.api_key_id);
        self.keys.insert(key.api_key_id, key);
        Ok(Outcome::default())
    }

    /// Credits were added or adjusted, under a reference.
    fn added(&mut self, position: u64, header: &Header, moved: Moved, reference: &str) -> Result<Outcome, Rejected> {
        let amount = moved.bought()?;
        let account_id = account_id(header)?;
        if self.references.contains_key(&(account_id, reference.to_owned())) {
            return Err(Rejected::Contradiction("the reference was used before"));
        }
        self.change(header, |account| {
            account.bought = account.bought.plus(amount)?;
            account.unleased = account.unleased.plus(amount)?;
            account.lost = account.lost.plus(moved.lost)?;
            Ok(())
        })?;
        let key = (account_id, reference.to_owned());
        self.changed.references.insert(key.clone());
        self.references.insert(key, Referenced { position, amount, loss: moved.lost });
        Ok(Outcome { moved, ..Outcome::default() })
    }

    /// Changes an account, or leaves it as it was if it does not add up then.
    fn change(
        &mut self,
        header: &Header,
        change: impl FnOnce(&mut Account) -> Result<(), MoneyError>,
    ) -> Result<Outcome, Rejected> {
        let mut account = self.account(header)?.clone();
        change(&mut account)?;
        if !account.adds_up() {
            return Err(Rejected::InsufficientCredits);
        }
        self.changed.accounts.insert(account.account_id);
        self.accounts.insert(account.account_id, account);
        Ok(Outcome::default())
    }

    fn account(&self, header: &Header) -> Result<&Account, Rejected> {
        let account = self.accounts.get(&account_id(header)?).ok_or(Rejected::UnknownAccount)?;
        if account.livemode != header.livemode { Err(Rejected::WrongLivemode) } else { Ok(account) }
    }
}

/// What came of a new event.
#[derive(Default)]
struct Outcome {
    follow_up: Option<FollowUp>,
    note: Option<Note>,
    moved: Moved,
}

fn account_id(header: &Header) -> Result<AccountId, Rejected> {
    header.account_id.ok_or(Rejected::Missing("account"))
}
