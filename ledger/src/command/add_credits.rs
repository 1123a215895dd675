use schemas::event::{CreditsAdded, Payload};
use schemas::message::{AddCredits, RefusalCode};

use super::{contradicted, credits_of, known, refusal};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for AddCredits {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.account_id);
        touched.references.insert((self.account_id, self.reference.clone()));
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let account = known(batch, self.account_id)?;
        if let Some(before) = batch.state.books.references.get(&(self.account_id, self.reference.clone())) {
            if before.amount != self.amount {
                let message = format!("reference '{}' was used for {} credits", self.reference, before.amount);
                return Err(refusal(RefusalCode::ReferenceReused, message));
            }
            return answer(&credits_of(account, before.position, true)?);
        }
        if self.amount.get() <= 0 {
            return Err(refusal(RefusalCode::BadAmount, "credits are added by an amount of more than zero"));
        }
        let livemode = account.livemode;
        let payload = Payload::CreditsAdded(Box::new(CreditsAdded {
            amount: self.amount,
            reference: self.reference.clone(),
            by: self.by.clone(),
            why: self.why.clone(),
        }));
        let position = batch.say(payload, Some((self.account_id, livemode)), None).map_err(contradicted)?;
        answer(&credits_of(known(batch, self.account_id)?, position, false)?)
    }
}
