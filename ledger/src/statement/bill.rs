use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use schemas::books::{Account, Books, Moved};
use schemas::event::{Event, Payload, UsageSource};
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;
use schemas::rate::Usage;

use super::month::Month;
use super::proof::Cut;
use super::{Charge, OpenHold, Statement, Totals, Transaction};

/// A statement in the making: an account's events go in, from the first one of all, in order.
#[derive(Debug)]
pub struct Bill {
    account_id: AccountId,
    /// First position of the month.
    from: u64,
    opening_balance: Nanocredits,
    top_ups: Vec<Transaction>,
    adjustments: Vec<Transaction>,
    charges: BTreeMap<(String, u32), Charge>,
    requests_not_charged: u64,
    /// What the requests that are not over used, and what they asked for.
    used: HashMap<RequestId, Used>,
    holds: HashMap<RequestId, OpenHold>,
}

#[derive(Debug)]
struct Used {
    model: String,
    price_version: u32,
    usage: Usage,
    is_estimated: bool,
}

impl Bill {
    /// Of an account, over the events from a position on.
    pub fn new(account_id: AccountId, from: u64) -> Self {
        Self {
            account_id,
            from,
            opening_balance: Nanocredits::ZERO,
            top_ups: Vec::new(),
            adjustments: Vec::new(),
            charges: BTreeMap::new(),
            requests_not_charged: 0,
            used: HashMap::new(),
            holds: HashMap::new(),
        }
    }

    /// Takes the next event: what it moved, and the books after it.
    ///
    /// # Errors
    /// When sums overflow, or a charge has no usage: then the events contradict each other.
    pub fn take(
        &mut self,
        position: u64,
        recorded_at: DateTime<Utc>,
        event: &Event,
        moved: &Moved,
        books: &Books,
    ) -> Result<()> {
        if event.header.account_id != Some(self.account_id) {
            return Ok(());
        }
        let is_in_month = position >= self.from;
        if !is_in_month {
            self.opening_balance = self.opening_balance.plus(moved.bought()?)?.minus(moved.charged)?;
        }
        let transaction = |reference: &str, why: &str, amount| Transaction {
            position,
            recorded_at,
            request_id: event.header.request_id,
            reference: reference.to_owned(),
            why: why.to_owned(),
            amount,
        };
        match &event.payload {
            Payload::CreditsAdded(data) if is_in_month => {
                self.top_ups.push(transaction(&data.reference, &data.why, moved.added));
            }
            // What only the platform bears is none of the customer's.
            Payload::CreditsAdjusted(data) if is_in_month && moved.adjusted != Nanocredits::ZERO => {
                self.adjustments.push(transaction(&data.reference, &data.why, moved.adjusted));
            }
            Payload::RequestAuthorized(data) => {
                let request_id = event.header.request_id.context("an authorization without a request")?;
                let (model, hold) = (data.model.clone(), data.hold);
                let open = OpenHold { request_id, model, position, authorized_at: recorded_at, hold };
                self.holds.entry(request_id).or_insert(open);
            }
            Payload::UsageRecorded(data) => {
                let request_id = event.header.request_id.context("a usage without a request")?;
                self.used.entry(request_id).or_insert_with(|| Used {
                    model: data.model.clone(),
                    price_version: data.price_version,
                    usage: data.usage,
                    is_estimated: data.source == UsageSource::Estimated,
                });
            }
            _ => {}
        }
        match event.header.request_id {
            Some(request_id) => self.end(request_id, is_in_month, moved, books),
            None => Ok(()),
        }
    }

    /// A request, if it is over: charged or not.
    fn end(&mut self, request_id: RequestId, is_in_month: bool, moved: &Moved, books: &Books) -> Result<()> {
        let Some(hold) = books.holds.get(&request_id) else { return Ok(()) };
        if !(hold.slots.has_ended() && hold.slots.authorization.is_some()) {
            return Ok(());
        }
        self.holds.remove(&request_id);
        let used = self.used.remove(&request_id);
        if !(moved.ended && is_in_month) {
            return Ok(());
        }
        if hold.slots.charged.is_none() {
            self.requests_not_charged += 1;
            return Ok(());
        }
        let used = used.with_context(|| format!("request {request_id} was charged without a usage"))?;
        let charge = self.charges.entry((used.model.clone(), used.price_version)).or_insert_with(|| Charge {
            model: used.model,
            price_version: used.price_version,
            requests: 0,
            estimated: 0,
            usage: Usage::default(),
            amount: Nanocredits::ZERO,
        });
        charge.requests += 1;
        charge.estimated += u64::from(used.is_estimated);
        charge.usage = sum(&charge.usage, &used.usage).context("the tokens are too many to count")?;
        charge.amount = charge.amount.plus(moved.charged)?;
        Ok(())
    }

    /// The statement, with the account as it is after the last event.
    ///
    /// # Errors
    /// When it does not add up to what the account has: no such bill is shown to anyone.
    pub fn close(self, account: &Account, month: Month, proof: Cut) -> Result<Statement> {
        let total = |of: &[Transaction]| of.iter().try_fold(Nanocredits::ZERO, |sum, one| sum.plus(one.amount));
        let charges: Vec<Charge> = self.charges.into_values().collect();
        let mut totals =
            Totals { top_ups: total(&self.top_ups)?, adjustments: total(&self.adjustments)?, ..Totals::default() };
        for charge in &charges {
            totals.charges = totals.charges.plus(charge.amount)?;
            totals.requests += charge.requests;
            totals.estimated += charge.estimated;
        }
        let mut open_holds: Vec<OpenHold> = self.holds.into_values().collect();
        open_holds.retain(|open| open.hold != Nanocredits::ZERO);
        open_holds.sort_unstable_by_key(|open| open.position);
        let held = open_holds.iter().try_fold(Nanocredits::ZERO, |sum, open| sum.plus(open.hold))?;

        let closing_balance = account.balance()?;
        let adds_up_to = self.opening_balance.plus(totals.top_ups)?.plus(totals.adjustments)?.minus(totals.charges)?;
        ensure!(
            adds_up_to == closing_balance,
            "the statement does not add up: opening balance {} + top-ups {} + adjustments {} − charges {} = {adds_up_to}, and \
             the account has {closing_balance}",
            self.opening_balance,
            totals.top_ups,
            totals.adjustments,
            totals.charges
        );
        ensure!(
            held == account.held,
            "the statement does not add up: open holds are {held}, and the account has {} held",
            account.held
        );
        Ok(Statement {
            account_id: self.account_id,
            livemode: account.livemode,
            tier: account.tier,
            month,
            from: month.from(),
            until: month.until(),
            is_final: proof.is_final,
            proof,
            opening_balance: self.opening_balance,
            top_ups: self.top_ups,
            charges,
            adjustments: self.adjustments,
            closing_balance,
            totals,
            requests_not_charged: self.requests_not_charged,
            held,
            open_holds,
        })
    }
}

fn sum(a: &Usage, b: &Usage) -> Option<Usage> {
    Some(Usage {
        input_tokens: a.input_tokens.checked_add(b.input_tokens)?,
        cached_tokens: a.cached_tokens.checked_add(b.cached_tokens)?,
        cache_write_tokens: a.cache_write_tokens.checked_add(b.cache_write_tokens)?,
        output_tokens: a.output_tokens.checked_add(b.output_tokens)?,
        reasoning_tokens: a.reasoning_tokens.checked_add(b.reasoning_tokens)?,
        images: a.images.checked_add(b.images)?,
        searches: a.searches.checked_add(b.searches)?,
    })
}

#[cfg(test)]
mod tests {
    use schemas::tier::Tier;
    use uuid::Uuid;

    use super::super::proof::Positions;
    use super::*;

    /// A bill of 10 credits that were there before, closed against an account with so much.
    fn closed(bought: i64, held: i64) -> Result<Statement> {
        let account_id = AccountId(Uuid::from_u128(1));
        let account = Account {
            account_id,
            livemode: true,
            tier: Tier::Pro,
            counterpart: AccountId(Uuid::from_u128(2)),
            reference: None,
            bought: Nanocredits::new(bought),
            unleased: Nanocredits::new(bought - held),
            leased: Nanocredits::ZERO,
            held: Nanocredits::new(held),
            charged: Nanocredits::ZERO,
            lost: Nanocredits::ZERO,
        };
        let bill = Bill { opening_balance: Nanocredits::new(10), ..Bill::new(account_id, 5) };
        let positions = Positions { from: 5, until: 4 };
        bill.close(&account, "2026-11".parse().unwrap(), Cut { positions, checkpoint: None, is_final: true })
    }

    #[test]
    fn a_statement_that_does_not_add_up_is_not_made() {
        assert_eq!(closed(10, 0).unwrap().closing_balance, Nanocredits::new(10));
        for (bought, held) in [(11, 0), (9, 0), (10, 1)] {
            let error = closed(bought, held).unwrap_err().to_string();
            assert!(error.starts_with("the statement does not add up: "), "{error}");
        }
    }
}
