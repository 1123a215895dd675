//! The books over a log of any length, in a memory that does not grow with it: requests that are over are forgotten, and
//! one that is spoken of again all the same is read again from the log by its id.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail};
use schemas::books::{Applied, Books, Ending, Hold, Moved, Slots};
use schemas::event::{Event, Payload};
use schemas::ids::RequestId;
use schemas::rate::rate;
use sqlx::PgConnection;

use crate::log::Logged;

/// So many requests that are over are remembered: what is said of them late, is said soon.
const REMEMBERED: usize = 10_000;

/// A fold over the log, or over one account's events and those of no account. The ledger appends only what its books take, so
/// an event that they reject here is a log that was tampered with.
#[derive(Debug)]
pub struct Folding {
    books: Books,
    /// Requests that are over and remembered, the oldest first.
    over: VecDeque<RequestId>,
    remembered: usize,
    /// The latest time that the id of a forgotten request carries, milliseconds; a request with a later one is new.
    forgotten_until: Option<u64>,
}

impl Default for Folding {
    fn default() -> Self {
        Self::remembering(REMEMBERED)
    }
}

impl Folding {
    /// With a memory for so many requests that are over.
    pub fn remembering(remembered: usize) -> Self {
        Self { books: Books::default(), over: VecDeque::new(), remembered, forgotten_until: None }
    }

    /// What the events so far add up to; of requests, those that are not over, and some that are.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Applies the next event. Says what it moved.
    pub async fn apply(&mut self, db: &mut PgConnection, logged: &Logged) -> Result<Moved> {
        let event = &logged.event;
        if let Some(request_id) = event.header.request_id
            && !self.books.holds.contains_key(&request_id)
            && self.forgotten_until.is_some_and(|until| time_of(request_id) <= until)
            && let Some(hold) = self.read_again(db, request_id, logged.position).await?
        {
            self.books.holds.insert(request_id, hold);
            self.over.push_back(request_id);
        }
        self.fold(logged.position, event).with_context(|| format!("position {}", logged.position))
    }

    fn fold(&mut self, position: u64, event: &Event) -> Result<Moved> {
        if self.is_after_the_fence(event) {
            return Ok(Moved::default());
        }
        let request_id = event.header.request_id;
        let was_over = request_id.is_some_and(|id| self.is_over(id));
        let moved = match self.books.apply(position, event)? {
            Applied::New { moved, .. } => moved,
            Applied::Duplicate => bail!("its emitter said this seq before"),
        };
        for key in std::mem::take(&mut self.books.changed).leases {
            // Nothing can come out of it any more.
            if self.books.leases.get(&key).is_some_and(|lease| lease.closed && lease.held.get() == 0) {
                self.books.leases.remove(&key);
            }
        }
        // That a reference is used once was decided at the append.
        self.books.references.clear();
        if let Some(request_id) = request_id
            && !was_over
            && self.is_over(request_id)
        {
            self.over.push_back(request_id);
        }
        while self.over.len() > self.remembered
            && let Some(request_id) = self.over.pop_front()
        {
            self.books.holds.remove(&request_id);
            self.forgotten_until = self.forgotten_until.max(Some(time_of(request_id)));
        }
        Ok(moved)
    }

    /// A return by a life whose lease is forgotten, which moves nothing.
    fn is_after_the_fence(&self, event: &Event) -> bool {
        let header = &event.header;
        let Some(account_id) = header.account_id else { return false };
        matches!(event.payload, Payload::LeaseReturned(_))
            && self.books.emitters.get(&header.emitter).is_some_and(|emitter| emitter.fenced)
            && !self.books.leases.contains_key(&(header.emitter, account_id))
    }

    /// Authorized and ended: none of its events moves a credit any more.
    fn is_over(&self, request_id: RequestId) -> bool {
        let hold = self.books.holds.get(&request_id);
        hold.is_some_and(|hold| hold.slots.authorization.is_some() && hold.slots.has_ended())
    }

    /// A request that was forgotten, so it is over, as its events before a position left it; `None` if it has none.
    async fn read_again(&self, db: &mut PgConnection, request_id: RequestId, before: u64) -> Result<Option<Hold>> {
        let events = sqlx::query_scalar!(
            "select event from ledger.events where request_id = $1 and position < $2 order by position",
            request_id.0,
            before as i64
        )
        .fetch_all(db)
        .await?;
        let mut again: Option<Hold> = None;
        for bytes in events {
            let event = Event::decode(&bytes)?;
            let Some(account_id) = event.header.account_id else { continue };
            let hold = again.get_or_insert_with(|| Hold {
                request_id,
                account_id,
                gateway: None,
                authorized_at: None,
                // What is over spends nothing more below a cap.
                key_period: None,
                slots: Slots::default(),
            });
            self.fill(&mut hold.slots, &event)?;
        }
        Ok(again)
    }

    fn fill(&self, slots: &mut Slots, event: &Event) -> Result<()> {
        match &event.payload {
            // Whether it counted makes no difference once it is over.
            Payload::RequestAuthorized(data) => slots.fill_authorization(data.hold, true)?,
            Payload::UsageRecorded(data) => {
                let prices =
                    self.books.prices.get(&data.price_version).context("the price book's version is unknown")?;
                slots.fill_usage(rate(&prices.book, &data.model, &data.usage)?.charge)?
            }
            Payload::CreditsDeducted(data) => slots.fill_ending(Ending::Deducted(data.amount))?,
            Payload::AuthorizationReleased(_) => slots.fill_ending(Ending::Released)?,
            Payload::AuthorizationExpired(_) => slots.fill_ending(Ending::Expired)?,
            _ => return Ok(()),
        };
        Ok(())
    }
}

/// The time that a UUIDv7 carries, milliseconds; 0 where the id is another, so that it always counts as forgotten.
fn time_of(request_id: RequestId) -> u64 {
    let id = request_id.0;
    if id.get_version_num() == 7 { (id.as_u128() >> 80) as u64 } else { 0 }
}
