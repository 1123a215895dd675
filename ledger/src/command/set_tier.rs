use schemas::event::{Payload, TierChanged};
use schemas::message::{SetTier, TierReply};

use super::{contradicted, known};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for SetTier {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.account_id);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let account = known(batch, self.account_id)?;
        let mut position = batch.state.head.position;
        if account.tier != self.tier {
            let livemode = account.livemode;
            let payload = Payload::TierChanged(Box::new(TierChanged {
                tier: self.tier,
                by: self.by.clone(),
                why: self.why.clone(),
            }));
            position = batch.say(payload, Some((self.account_id, livemode)), None).map_err(contradicted)?;
        }
        answer(&TierReply { account_id: self.account_id, tier: self.tier, position })
    }
}
