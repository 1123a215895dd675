use schemas::event::{LeaseGranted, Payload};
use schemas::message::{LeaseReply, LeaseRequest, RefusalCode};
use schemas::money::{MoneyError, Nanocredits};

use super::{contradicted, known, out_of_range, refusal};
use crate::append::{Batch, Command, Outcome, Touched, answer};
use crate::life::LifeState;

/// Sets credits aside for one life of a gateway.
pub struct GrantLease(pub LeaseRequest);

impl Command for GrantLease {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.0.account_id);
        touched.leases.insert((self.0.gateway, self.0.account_id));
        touched.emitters.insert(self.0.gateway);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let ask = &self.0;
        let generation = batch.state.head.generation;
        let is_open = batch
            .state
            .lives
            .get(&ask.gateway)
            .is_some_and(|life| life.state == LifeState::Open && life.generation == generation);
        if !is_open {
            return Err(refusal(RefusalCode::NotRegistered, "this life is granted nothing any more"));
        }
        let account = known(batch, ask.account_id)?;
        let livemode = account.livemode;
        let lease = batch.state.books.leases.get(&(ask.gateway, ask.account_id));
        let granted_before = lease.map_or(Nanocredits::ZERO, |lease| lease.granted);
        let gateways = batch.state.lives.values().filter(|life| life.state == LifeState::Open).count();
        let grant = how_much(ask, granted_before, account.unleased, gateways).map_err(out_of_range)?;
        let granted_total = granted_before.plus(grant).map_err(out_of_range)?;
        if grant > Nanocredits::ZERO {
            let payload = Payload::LeaseGranted(Box::new(LeaseGranted { gateway: ask.gateway, granted_total }));
            batch.say(payload, Some((ask.account_id, livemode)), None).map_err(contradicted)?;
        }
        let account = known(batch, ask.account_id)?;
        answer(&LeaseReply {
            granted_total,
            unleased: account.unleased,
            available: account.available().map_err(out_of_range)?,
            held: account.held,
            position: batch.state.head.position,
        })
    }
}

/// What is needed, whole or not at all; beyond it what is wanted, but no more than a share of what is left, so that
/// little is stranded where it is not spent.
fn how_much(
    ask: &LeaseRequest,
    granted_before: Nanocredits,
    unleased: Nanocredits,
    gateways: usize,
) -> Result<Nanocredits, MoneyError> {
    // A reply that was lost: its grant is there already.
    let unheard = granted_before.minus_or_zero(ask.granted_total);
    let need = ask.need.minus_or_zero(unheard);
    let want = ask.want.minus_or_zero(unheard);
    if need > unleased {
        return Ok(Nanocredits::ZERO);
    }
    let share = Nanocredits::new(unleased.minus(need)?.get() / (gateways as i64 + 1));
    need.plus(share.min(want.minus_or_zero(need)))
}

#[cfg(test)]
mod tests {
    use schemas::ids::{AccountId, EmitterId};
    use uuid::Uuid;

    use super::*;

    fn grant(known: i64, need: i64, want: i64, before: i64, unleased: i64) -> i64 {
        let ask = LeaseRequest {
            gateway: EmitterId(Uuid::nil()),
            account_id: AccountId(Uuid::nil()),
            granted_total: Nanocredits::new(known),
            need: Nanocredits::new(need),
            want: Nanocredits::new(want),
        };
        how_much(&ask, Nanocredits::new(before), Nanocredits::new(unleased), 1).unwrap().get()
    }

    #[test]
    fn what_is_needed_is_granted_whole_or_not_at_all() {
        assert_eq!(grant(0, 10, 10, 0, 10), 10);
        assert_eq!(grant(0, 10, 100, 0, 9), 0);
        assert_eq!(grant(0, 0, 0, 0, 100), 0);
    }

    #[test]
    fn beyond_need_only_a_share_of_the_rest() {
        assert_eq!(grant(0, 10, 30, 0, 1_000), 30);
        assert_eq!(grant(0, 10, 1_000, 0, 30), 20);
    }

    #[test]
    fn a_grant_whose_reply_was_lost_is_not_made_twice() {
        assert_eq!(grant(5, 10, 20, 15, 1_000), 10);
        assert_eq!(grant(5, 10, 10, 25, 1_000), 0);
    }
}
