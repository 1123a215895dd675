use chrono::{DateTime, Utc};
use schemas::books::{Change, Ending, Moved, Slots};
use schemas::event::{Header, Payload};
use schemas::money::{Nanocredits, Picodollars};
use uuid::Uuid;

use super::{Facts, Memory, Poison};

/// All that is known of one request: a row, as soon as it has ended.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Request {
    pub request_id: Uuid,
    pub created_at: DateTime<Utc>,
    pub account_id: Uuid,
    pub livemode: bool,
    pub slots: Slots,
    pub facts: Facts,
    /// Of the last event that told something about it.
    pub position: i64,
}

impl Request {
    /// One of which nothing is known yet.
    pub(crate) fn new(header: &Header) -> Result<Self, Poison> {
        let request_id = header.request_id.ok_or(Poison::Missing("request"))?.0;
        Ok(Self {
            request_id,
            created_at: created_at(request_id).ok_or(Poison::NoTimeInId)?,
            account_id: header.account_id.ok_or(Poison::Missing("account"))?.0,
            livemode: header.livemode,
            slots: Slots::default(),
            facts: Facts::default(),
            position: 0,
        })
    }

    /// The request after one more of its events, and what that moved. An event whose slot is taken tells nothing new.
    pub(crate) fn after(
        &self,
        position: i64,
        header: &Header,
        payload: &Payload,
        memory: &Memory,
    ) -> Result<(Self, Moved), Poison> {
        let mut next = self.clone();
        let (slots, facts) = (&mut next.slots, &mut next.facts);
        let is_used = slots.usage.is_some();
        let mut cost = Picodollars::ZERO;
        let change = match payload {
            Payload::RequestAuthorized(data) => {
                let change = slots.fill_authorization(data.hold, !memory.is_fenced(header.emitter, position))?;
                if !is_used {
                    facts.authorized(data)?;
                }
                change
            }
            Payload::UsageRecorded(data) => {
                let rating = memory.rate(data)?;
                facts.used(data, rating.cost_usd)?;
                cost = rating.cost_usd;
                slots.fill_usage(rating.charge)?
            }
            Payload::CreditsDeducted(data) => slots.fill_ending(Ending::Deducted(data.amount))?,
            Payload::AuthorizationReleased(data) => {
                if !is_used {
                    facts.released(data, slots.authorization.is_some())?;
                }
                slots.fill_ending(Ending::Released)?
            }
            Payload::AuthorizationExpired(_) => {
                if !is_used {
                    facts.expired();
                }
                slots.fill_ending(Ending::Expired)?
            }
            _ => Change::default(),
        };
        if next.slots == self.slots {
            return Ok((self.clone(), change.into()));
        }
        if next.slots.ending != self.slots.ending {
            next.facts.finished_at = Some(header.time);
        }
        next.position = position;
        Ok((next, Moved { cost, ..change.into() }))
    }

    /// What was charged, credits.
    pub fn charged(&self) -> Nanocredits {
        self.slots.charged.unwrap_or_default()
    }
}

/// The time that a UUIDv7 carries, to the millisecond.
pub(crate) fn created_at(id: Uuid) -> Option<DateTime<Utc>> {
    if id.get_version_num() != 7 {
        return None;
    }
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}
