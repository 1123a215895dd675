use schemas::event::{AccountOpened, CreditsAdded, Payload};
use schemas::ids::AccountId;
use schemas::message::{AccountOpenedReply, OpenAccount};
use schemas::money::Nanocredits;

use super::{contradicted, out_of_range};
use crate::append::{Batch, Command, Outcome, Touched, answer};

/// What a sandbox account starts with: a million credits that cost nothing and buy nothing but simulated answers.
const TEST_CREDITS: i64 = 1_000_000;

impl Command for OpenAccount {
    fn touches(&self, touched: &mut Touched) {
        touched.opened_as.extend(self.reference.clone());
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let opened =
            |account: &&schemas::books::Account| account.reference.is_some() && account.reference == self.reference;
        if let Some(account) = batch.state.books.accounts.values().find(opened) {
            return answer(&AccountOpenedReply {
                account_id: account.account_id,
                sandbox_account_id: account.counterpart,
                tier: account.tier,
                position: batch.state.head.position,
            });
        }
        let (account_id, sandbox_account_id) = (AccountId(batch.new_id()), AccountId(batch.new_id()));
        let data = |counterpart, reference: &Option<String>| {
            let (by, why) = (self.by.clone(), self.why.clone());
            Payload::AccountOpened(Box::new(AccountOpened {
                tier: self.tier,
                counterpart,
                reference: reference.clone(),
                by,
                why,
            }))
        };
        let credits = Payload::CreditsAdded(Box::new(CreditsAdded {
            amount: Nanocredits::from_credits(TEST_CREDITS).map_err(out_of_range)?,
            reference: "sandbox-opening".to_owned(),
            by: self.by.clone(),
            why: "test credits of a sandbox account".to_owned(),
        }));
        let position = batch
            .say(data(sandbox_account_id, &self.reference), Some((account_id, true)), None)
            .map_err(contradicted)?;
        batch.say(data(account_id, &None), Some((sandbox_account_id, false)), None).map_err(contradicted)?;
        batch.say(credits, Some((sandbox_account_id, false)), None).map_err(contradicted)?;
        answer(&AccountOpenedReply { account_id, sandbox_account_id, tier: self.tier, position })
    }
}
