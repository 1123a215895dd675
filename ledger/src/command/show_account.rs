use schemas::message::{AccountRef, AccountReply};

use super::{credits_of, known};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for AccountRef {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.account_id);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let account = known(batch, self.account_id)?;
        answer(&AccountReply {
            account_id: account.account_id,
            livemode: account.livemode,
            counterpart: account.counterpart,
            tier: account.tier,
            credits: credits_of(account, batch.state.head.position, false)?,
        })
    }
}
