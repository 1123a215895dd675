use schemas::key_limits::{Cap, KeyPeriod};
use schemas::message::{KeyReserved, RefusalCode, ReserveKey};
use schemas::money::{MoneyError, Nanocredits};

use super::{out_of_range, refusal};
use crate::append::{Batch, Command, Outcome, Reservation, Touched, answer};
use crate::life::LifeState;

/// Sets room below a key's cap aside for requests that are about to be authorized. What is set aside is kept until the ledger
/// has read the request's authorization or its end, or its gateway says that it will not come, or is fenced.
impl Command for ReserveKey {
    fn touches(&self, touched: &mut Touched) {
        touched.keys.insert(self.api_key_id);
        touched.this_period.insert(self.api_key_id);
        for (request_id, _) in &self.wanted {
            touched.holds.insert(*request_id);
            touched.capped.push((self.api_key_id, *request_id));
        }
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let generation = batch.state.head.generation;
        let life = batch.state.lives.get(&self.gateway);
        if !life.is_some_and(|life| life.state == LifeState::Open && life.generation == generation) {
            return Err(refusal(RefusalCode::NotRegistered, "this life authorizes nothing any more"));
        }
        let key = batch.state.books.keys.get(&self.api_key_id);
        let key = key.ok_or_else(|| refusal(RefusalCode::UnknownKey, "there is no such key"))?;
        let cap = key.restrictions.cap.ok_or_else(|| refusal(RefusalCode::Malformed, "this key has no cap"))?;
        if !batch.state.reservations.is_news(self.gateway, self.api_key_id, self.seq) {
            return Err(refusal(RefusalCode::Unavailable, "a newer question was answered before"));
        }
        for request_id in &self.dropped {
            let is_its_own = |reservation: &Reservation| reservation.gateway == self.gateway;
            if batch.state.reservations.get(*request_id).is_some_and(is_its_own) {
                batch.unreserve(*request_id);
            }
        }
        let mut granted = Vec::new();
        for (request_id, amount) in &self.wanted {
            let period = KeyPeriod::of(self.api_key_id, cap.period, *request_id);
            // The authorization is there already: it is counted as a hold, and holds what it holds.
            let known = batch.state.books.holds.get(request_id);
            let authorized = known.is_some_and(|hold| hold.slots.authorization.is_some());
            let (api_key_id, gateway) = (self.api_key_id, self.gateway);
            let asked = Reservation { api_key_id, gateway, amount: *amount };
            let promised = batch.state.reservations.get(*request_id).copied();
            if !authorized && promised != Some(asked) {
                // What was promised to an earlier life of the gateway, or in another amount, is promised anew: the fence of
                // that life must not take it back.
                let before = promised.filter(|promised| promised.api_key_id == api_key_id);
                let room = left(batch, cap, period, before.map(|before| before.amount)).map_err(out_of_range)?;
                if amount.is_negative() || *amount > room {
                    continue;
                }
                batch.reserve(*request_id, asked);
            }
            granted.push(*request_id);
        }
        let now = KeyPeriod { api_key_id: self.api_key_id, from: cap.period.from(batch.now()) };
        let spending = batch.state.books.spending.get(&now).copied().unwrap_or_default();
        let promised = batch.state.reservations.of_key(self.api_key_id).map_err(out_of_range)?;
        answer(&KeyReserved {
            granted,
            cap,
            charged: spending.charged,
            held: spending.held.plus(promised).map_err(out_of_range)?,
            until: cap.period.until(now.from),
        })
    }
}

/// What is neither spent, held nor promised, but for what was promised to the asker. A promise is for whichever period its request is in: it counts in all of them
/// for the moment that it lasts.
fn left(batch: &Batch<'_>, cap: Cap, period: KeyPeriod, own: Option<Nanocredits>) -> Result<Nanocredits, MoneyError> {
    let spending = batch.state.books.spending.get(&period).copied().unwrap_or_default();
    let promised = batch.state.reservations.of_key(period.api_key_id)?.minus(own.unwrap_or_default())?;
    Ok(cap.credits.minus_or_zero(spending.charged.plus(spending.held)?.plus(promised)?))
}
