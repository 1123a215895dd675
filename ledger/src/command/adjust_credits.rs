use schemas::books::Referenced;
use schemas::event::{CreditsAdjusted, Payload};
use schemas::message::{AdjustCredits, CreditsAdjustedReply, Refusal, RefusalCode};
use schemas::money::Nanocredits;

use super::{contradicted, credits_of, known, out_of_range, refusal};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for AdjustCredits {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.account_id);
        touched.references.insert((self.account_id, self.reference.clone()));
        touched.holds.extend(self.request_id);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let account = known(batch, self.account_id)?;
        if let Some(before) = batch.state.books.references.get(&(self.account_id, self.reference.clone())) {
            if !is_repeat(self, before) {
                let left =
                    if before.loss > Nanocredits::ZERO { format!(", {} lost", before.loss) } else { String::new() };
                let message = format!("reference '{}' was used for {} credits{left}", self.reference, before.amount);
                return Err(refusal(RefusalCode::ReferenceReused, message));
            }
            let credits = credits_of(account, before.position, true)?;
            return answer(&CreditsAdjustedReply { credits, amount: before.amount, loss: before.loss });
        }
        if self.loss.is_negative() {
            return Err(refusal(RefusalCode::BadAmount, "a loss is at least zero"));
        }
        if self.amount == Nanocredits::ZERO && self.loss == Nanocredits::ZERO {
            return Err(refusal(RefusalCode::BadAmount, "an adjustment of zero changes nothing"));
        }
        let is_theirs = |request| batch.state.books.holds.get(request).is_some_and(|h| h.account_id == self.account_id);
        if let Some(request) = self.request_id.as_ref().filter(|request| !is_theirs(request)) {
            return Err(refusal(RefusalCode::UnknownRequest, format!("the account made no request {request}")));
        }
        let (amount, loss) = moved(self, account.unleased, account.leased)?;
        let livemode = account.livemode;
        let payload = Payload::CreditsAdjusted(Box::new(CreditsAdjusted {
            amount,
            loss,
            reference: self.reference.clone(),
            by: self.by.clone(),
            why: self.why.clone(),
        }));
        let position = batch.say(payload, Some((self.account_id, livemode)), self.request_id).map_err(contradicted)?;
        let credits = credits_of(known(batch, self.account_id)?, position, false)?;
        answer(&CreditsAdjustedReply { credits, amount, loss })
    }
}

/// What of it is moved, and what the platform bears.
fn moved(
    ask: &AdjustCredits,
    unleased: Nanocredits,
    leased: Nanocredits,
) -> Result<(Nanocredits, Nanocredits), Refusal> {
    let taken = Nanocredits::ZERO.minus(ask.amount).map_err(out_of_range)?;
    if taken <= unleased {
        return Ok((ask.amount, ask.loss));
    }
    let available = unleased.plus(leased).map_err(out_of_range)?;
    if taken <= available || (ask.take_what_there_is && leased > Nanocredits::ZERO) {
        let message = format!("{leased} of {available} credits are leased to gateways, and are not given up yet");
        return Err(refusal(RefusalCode::CreditsLeased, message));
    }
    if !ask.take_what_there_is {
        let message = format!("only {available} credits are there to be taken now");
        return Err(refusal(RefusalCode::InsufficientCredits, message));
    }
    let short = taken.minus(unleased).map_err(out_of_range)?;
    Ok((Nanocredits::new(-unleased.get()), ask.loss.plus(short).map_err(out_of_range)?))
}

/// Whether the same was asked before: what it took and what it left to the platform is what is asked to be taken or left.
fn is_repeat(ask: &AdjustCredits, before: &Referenced) -> bool {
    if before.amount == ask.amount && before.loss == ask.loss {
        return true;
    }
    // In wider integers, since the two belong to different commands.
    let sum = |loss: Nanocredits, amount: Nanocredits| i128::from(loss.get()) - i128::from(amount.get());
    ask.take_what_there_is
        && ask.amount < before.amount
        && before.amount <= Nanocredits::ZERO
        && sum(before.loss, before.amount) == sum(ask.loss, ask.amount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::ids::AccountId;
    use uuid::Uuid;

    use super::*;

    fn ask(amount: i64, loss: i64, take_what_there_is: bool) -> AdjustCredits {
        AdjustCredits {
            account_id: AccountId(Uuid::nil()),
            amount: Nanocredits::new(amount),
            loss: Nanocredits::new(loss),
            take_what_there_is,
            request_id: None,
            reference: "r".to_owned(),
            by: "test".to_owned(),
            why: "test".to_owned(),
        }
    }

    fn outcome(ask: &AdjustCredits, unleased: i64, leased: i64) -> Result<(i64, i64), RefusalCode> {
        moved(ask, Nanocredits::new(unleased), Nanocredits::new(leased))
            .map(|(amount, loss)| (amount.get(), loss.get()))
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn what_is_leased_is_waited_for_and_only_what_nobody_has_is_lost() {
        assert_eq!(outcome(&ask(-5, 0, false), 5, 0), Ok((-5, 0)));
        assert_eq!(outcome(&ask(-5, 0, false), 3, 2), Err(RefusalCode::CreditsLeased));
        assert_eq!(outcome(&ask(-5, 0, false), 3, 1), Err(RefusalCode::InsufficientCredits));
        assert_eq!(outcome(&ask(-5, 1, true), 3, 1), Err(RefusalCode::CreditsLeased));
        assert_eq!(outcome(&ask(-5, 1, true), 3, 0), Ok((-3, 3)));
        assert_eq!(outcome(&ask(i64::MIN, 0, true), 3, 0), Err(RefusalCode::BadAmount));
    }

    proptest! {
        #[test]
        fn the_same_again_is_a_repeat_whatever_it_came_to(amount in -50_i64..50, loss in 0_i64..9, unleased in 0_i64..60, other in -50_i64..50) {
            let asked = ask(amount, loss, true);
            let (amount_moved, loss_moved) = moved(&asked, Nanocredits::new(unleased), Nanocredits::ZERO).unwrap();
            prop_assert!(amount_moved.get() >= -unleased);
            let before = Referenced { position: 1, amount: amount_moved, loss: loss_moved };
            prop_assert!(is_repeat(&asked, &before));
            prop_assert!(other == amount || !is_repeat(&ask(other, loss, true), &before));
        }
    }
}
