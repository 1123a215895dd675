//! What one life of a gateway may spend of one account, and what it has set aside of it. Pure: no clock, no I/O.
//!
//! | state of a hold | its amount is | it leaves this state when |
//! |---|---|---|
//! | taken | not free; nobody outside knows of it | its authorization is published, or it is put back |
//! | published | not free: the authorization may have been stored | it is acknowledged, or released |
//! | authorized | not free: the provider may be called | the request is settled or released |
//! | settling | not free, though the charge is known | both events are acknowledged: the rest is free |
//! | releasing | not free | the release is acknowledged: all of it is free |
//!
//! What is freed is freed with an acknowledgement, since only then an authorization that spends it again comes after it
//! in the stream, and the ledger, which reads in that order, never sees more spent than it granted.

use std::collections::BTreeMap;

use schemas::ids::RequestId;
use schemas::money::Nanocredits;

/// One account in one life of a gateway. All totals only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lease {
    granted_total: Nanocredits,
    returned_total: Nanocredits,
    charged_total: Nanocredits,
    held: Nanocredits,
    holds: BTreeMap<RequestId, Open>,
}

/// A hold that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Open {
    amount: Nanocredits,
    stage: Stage,
}

/// How far a hold is; the table above says what each means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nobody outside knows of it.
    Taken,
    /// Its authorization was sent and may have been stored.
    Published,
    /// Its authorization was acknowledged.
    Authorized,
    /// Its charge is known.
    Settling {
        /// At most the hold, credits.
        charge: Nanocredits,
    },
    /// Nothing will be charged.
    Releasing,
}

/// A step that a hold cannot take from where it is. Always a bug of the caller; the lease is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hold cannot take this step: it is {0:?}")]
pub struct WrongStage(pub Option<Stage>);

impl Lease {
    /// The ledger has granted so much in all. A smaller total is old news.
    pub fn granted(&mut self, total: Nanocredits) {
        self.granted_total = self.granted_total.max(total);
        self.check();
    }

    /// What can be taken now, credits.
    pub fn free(&self) -> Nanocredits {
        let spent = [self.charged_total, self.held].iter().fold(self.returned_total.get(), |sum, part| {
            // Saturation makes less free, never more.
            sum.saturating_add(part.get())
        });
        self.granted_total.minus_or_zero(Nanocredits::new(spent))
    }

    /// Granted in all, credits.
    pub fn granted_total(&self) -> Nanocredits {
        self.granted_total
    }

    /// Returned in all, credits.
    pub fn returned_total(&self) -> Nanocredits {
        self.returned_total
    }

    /// Charged in all, credits, as far as acknowledged.
    pub fn charged_total(&self) -> Nanocredits {
        self.charged_total
    }

    /// In holds that have not ended, credits.
    pub fn held(&self) -> Nanocredits {
        self.held
    }

    /// Holds that have not ended.
    pub fn open_holds(&self) -> usize {
        self.holds.len()
    }

    /// Takes a request's hold, if so much is free.
    pub fn take(&mut self, request: RequestId, amount: Nanocredits) -> bool {
        if amount.is_negative() || self.free() < amount || self.holds.contains_key(&request) {
            return false;
        }
        self.held = Nanocredits::new(self.held.get().saturating_add(amount.get()));
        self.holds.insert(request, Open { amount, stage: Stage::Taken });
        self.check();
        true
    }

    /// Nothing was ever published for it: it is free again at once.
    pub fn put_back(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.end(request, |stage| matches!(stage, Stage::Taken).then_some(Nanocredits::ZERO))
    }

    /// Its authorization is about to be sent: from now on it may be stored.
    pub fn published(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.step(request, |stage, _| matches!(stage, Stage::Taken).then_some(Stage::Published))
    }

    /// Its authorization was acknowledged, and the acknowledgement counts.
    pub fn authorized(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.step(request, |stage, _| matches!(stage, Stage::Published).then_some(Stage::Authorized))
    }

    /// Its usage is known and about to be sent. Gives what will be charged: at most the hold.
    pub fn settling(&mut self, request: RequestId, worth: Nanocredits) -> Result<Nanocredits, WrongStage> {
        let mut charged = Nanocredits::ZERO;
        self.step(request, |stage, amount| {
            charged = worth.max(Nanocredits::ZERO).min(amount);
            matches!(stage, Stage::Authorized).then_some(Stage::Settling { charge: charged })
        })?;
        Ok(charged)
    }

    /// Usage and deduction are acknowledged: what is left of the hold is free.
    pub fn settled(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.end(request, |stage| match stage {
            Stage::Settling { charge } => Some(charge),
            _ => None,
        })
    }

    /// Its release is about to be sent, whether or not the authorization was acknowledged.
    pub fn releasing(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.step(request, |stage, _| matches!(stage, Stage::Published | Stage::Authorized).then_some(Stage::Releasing))
    }

    /// Its release is acknowledged: all of it is free. An authorization of it that is stored later than its release holds
    /// nothing.
    pub fn released(&mut self, request: RequestId) -> Result<(), WrongStage> {
        self.end(request, |stage| matches!(stage, Stage::Releasing).then_some(Nanocredits::ZERO))
    }

    /// Gives back at most so much of what is free. It is not free from this moment, and counts at the ledger once the
    /// event with the new total, which is the answer, is appended. None if there is nothing to give.
    pub fn give_back(&mut self, at_most: Nanocredits) -> Option<Nanocredits> {
        let amount = self.free().min(at_most);
        if amount.get() <= 0 {
            return None;
        }
        self.returned_total = Nanocredits::new(self.returned_total.get().saturating_add(amount.get()));
        self.check();
        Some(self.returned_total)
    }

    fn step(
        &mut self,
        request: RequestId,
        next: impl FnOnce(Stage, Nanocredits) -> Option<Stage>,
    ) -> Result<(), WrongStage> {
        let open = self.holds.get_mut(&request).ok_or(WrongStage(None))?;
        open.stage = next(open.stage, open.amount).ok_or(WrongStage(Some(open.stage)))?;
        Ok(())
    }

    fn end(&mut self, request: RequestId, charge: impl FnOnce(Stage) -> Option<Nanocredits>) -> Result<(), WrongStage> {
        let open = *self.holds.get(&request).ok_or(WrongStage(None))?;
        let charge = charge(open.stage).ok_or(WrongStage(Some(open.stage)))?;
        self.holds.remove(&request);
        self.held = self.held.minus_or_zero(open.amount);
        self.charged_total = Nanocredits::new(self.charged_total.get().saturating_add(charge.get()));
        self.check();
        Ok(())
    }

    /// What always holds: nothing is below zero, and no more is spent than was granted.
    fn check(&self) {
        let spent = [self.returned_total, self.charged_total, self.held];
        debug_assert!(spent.iter().all(|part| !part.is_negative()));
        debug_assert!(
            spent.iter().map(|part| i128::from(part.get())).sum::<i128>() <= i128::from(self.granted_total.get())
        );
        debug_assert!(self.held.get() == 0 || !self.holds.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn credits(amount: i64) -> Nanocredits {
        Nanocredits::new(amount)
    }

    fn request(number: u128) -> RequestId {
        RequestId(Uuid::from_u128(number))
    }

    #[test]
    fn what_is_left_of_a_hold_is_free_when_its_charge_is_acknowledged_and_not_before() {
        let mut lease = Lease::default();
        lease.granted(credits(10));
        assert!(lease.take(request(1), credits(6)));
        assert!(!lease.take(request(2), credits(5)));
        lease.published(request(1)).unwrap();
        lease.authorized(request(1)).unwrap();
        assert_eq!(lease.settling(request(1), credits(4)).unwrap(), credits(4));
        assert_eq!(lease.free(), credits(4));
        lease.settled(request(1)).unwrap();
        assert_eq!((lease.free(), lease.charged_total()), (credits(6), credits(4)));
    }

    #[test]
    fn a_published_hold_cannot_be_put_back() {
        let mut lease = Lease::default();
        lease.granted(credits(10));
        assert!(lease.take(request(1), credits(6)));
        lease.published(request(1)).unwrap();
        assert_eq!(lease.put_back(request(1)), Err(WrongStage(Some(Stage::Published))));
        lease.releasing(request(1)).unwrap();
        assert_eq!(lease.free(), credits(4));
        lease.released(request(1)).unwrap();
        assert_eq!(lease.free(), credits(10));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Grant(i64),
        Take(u8, i64),
        PutBack(u8),
        Publish(u8),
        Authorize(u8),
        Settle(u8, i64),
        Settled(u8),
        Release(u8),
        Released(u8),
        GiveBack(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let id = 0_u8..6;
        let step = prop_oneof![
            (0_i64..60).prop_map(Step::Grant),
            (id.clone(), -2_i64..20).prop_map(|(id, amount)| Step::Take(id, amount)),
            id.clone().prop_map(Step::PutBack),
            id.clone().prop_map(Step::Publish),
            id.clone().prop_map(Step::Authorize),
            (id.clone(), -5_i64..40).prop_map(|(id, worth)| Step::Settle(id, worth)),
            id.clone().prop_map(Step::Settled),
            id.clone().prop_map(Step::Release),
            id.prop_map(Step::Released),
            (-3_i64..30).prop_map(Step::GiveBack),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        /// Whatever is tried in whatever order: no more is spent than granted, totals only grow, and each hold ends once.
        #[test]
        fn no_more_is_spent_than_granted(steps in steps()) {
            let mut lease = Lease::default();
            for step in steps {
                let before = lease.clone();
                let moved = match step {
                    Step::Grant(total) => { lease.granted(credits(total)); true }
                    Step::Take(id, amount) => lease.take(request(id.into()), credits(amount)),
                    Step::PutBack(id) => lease.put_back(request(id.into())).is_ok(),
                    Step::Publish(id) => lease.published(request(id.into())).is_ok(),
                    Step::Authorize(id) => lease.authorized(request(id.into())).is_ok(),
                    Step::Settle(id, worth) => lease.settling(request(id.into()), credits(worth)).is_ok(),
                    Step::Settled(id) => lease.settled(request(id.into())).is_ok(),
                    Step::Release(id) => lease.releasing(request(id.into())).is_ok(),
                    Step::Released(id) => lease.released(request(id.into())).is_ok(),
                    Step::GiveBack(amount) => lease.give_back(credits(amount)).is_some(),
                };
                if !moved {
                    prop_assert_eq!(&lease, &before);
                }
                prop_assert!(lease.granted_total() >= before.granted_total());
                prop_assert!(lease.returned_total() >= before.returned_total());
                prop_assert!(lease.charged_total() >= before.charged_total());
                let held: i64 = lease.holds.values().map(|open| open.amount.get()).sum();
                prop_assert_eq!(held, lease.held().get());
                let spent = lease.returned_total().get() + lease.charged_total().get() + held;
                prop_assert_eq!(lease.granted_total().get() - spent, lease.free().get());
            }
        }
    }
}
