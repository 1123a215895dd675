use schemas::event::{ApiKeyIssued, Payload};
use schemas::ids::ApiKeyId;
use schemas::message::{IssueKey, KeyIssuedReply, RefusalCode};

use super::{contradicted, known, refusal};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for IssueKey {
    fn touches(&self, touched: &mut Touched) {
        touched.accounts.insert(self.account_id);
        touched.key_hashes.insert(self.key_hash);
    }

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let account = known(batch, self.account_id)?;
        let livemode = account.livemode;
        if livemode != self.key_prefix.starts_with("lyr_live_") {
            let message = "live keys belong to live accounts, test keys to sandbox accounts";
            return Err(refusal(RefusalCode::Malformed, message));
        }
        if batch.state.books.keys.values().any(|key| key.key_hash == self.key_hash) {
            return Err(refusal(RefusalCode::ReferenceReused, "this key was issued before"));
        }
        let api_key_id = ApiKeyId(batch.new_id());
        let payload = Payload::ApiKeyIssued(Box::new(ApiKeyIssued {
            api_key_id,
            key_hash: self.key_hash,
            key_prefix: self.key_prefix.clone(),
            name: self.name.clone(),
            expires_at: self.expires_at,
            by: self.by.clone(),
            why: self.why.clone(),
        }));
        let position = batch.say(payload, Some((self.account_id, livemode)), None).map_err(contradicted)?;
        answer(&KeyIssuedReply { api_key_id, account_id: self.account_id, position })
    }
}
