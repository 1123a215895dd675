use schemas::event::{ApiKeyIssued, Payload};
use schemas::ids::ApiKeyId;
use schemas::key_limits::Restrictions;
use schemas::message::{IssueKey, KeyIssuedReply, Refusal, RefusalCode};
use schemas::money::Nanocredits;

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
        check(batch, &self.restrictions)?;
        let api_key_id = ApiKeyId(batch.new_id());
        let payload = Payload::ApiKeyIssued(Box::new(ApiKeyIssued {
            api_key_id,
            key_hash: self.key_hash,
            key_prefix: self.key_prefix.clone(),
            name: self.name.clone(),
            expires_at: self.expires_at,
            restrictions: self.restrictions.clone(),
            by: self.by.clone(),
            why: self.why.clone(),
        }));
        let position = batch.say(payload, Some((self.account_id, livemode)), None).map_err(contradicted)?;
        answer(&KeyIssuedReply { api_key_id, account_id: self.account_id, position })
    }
}

/// As many models or providers as a key can name.
const MOST_MODELS: usize = 200;

/// A slip in a model's name would make a key that is refused everywhere.
fn check(batch: &Batch<'_>, restrictions: &Restrictions) -> Result<(), Refusal> {
    if restrictions.cap.is_some_and(|cap| cap.credits <= Nanocredits::ZERO) {
        return Err(refusal(RefusalCode::BadAmount, "a cap is more than zero"));
    }
    let Some(models) = &restrictions.models else { return Ok(()) };
    if models.is_empty() || models.len() > MOST_MODELS {
        let message = format!("a list of models names 1 to {MOST_MODELS}");
        return Err(refusal(RefusalCode::Malformed, message));
    }
    let prices = batch.state.books.current_prices();
    let prices = prices.ok_or_else(|| refusal(RefusalCode::Unavailable, "there are no prices yet"))?;
    let sold = |allowed: &String| match allowed.strip_suffix("/*") {
        Some(provider) => prices.book.models.values().any(|model| model.provider == provider),
        None => prices.book.models.contains_key(allowed),
    };
    match models.iter().find(|allowed| !sold(allowed)) {
        Some(unknown) => Err(refusal(RefusalCode::UnknownModel, format!("no model is named '{unknown}'"))),
        None => Ok(()),
    }
}
