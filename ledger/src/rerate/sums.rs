//! Charges summed up by account and model. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schemas::ids::AccountId;
use schemas::money::{MoneyError, Nanocredits};
use serde::Serialize;

/// What one account's requests of one model cost, and would have cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Whose.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// Id in the price book.
    pub model: String,
    /// Requests whose charge is final.
    pub requests: u64,
    /// Requests whose charge is not final; they are in no sum.
    pub open: u64,
    /// What was charged, credits.
    pub old: Nanocredits,
    /// What would have been charged, credits; none where the prices have no such model.
    pub new: Option<Nanocredits>,
    /// New less old, credits.
    pub difference: Option<Nanocredits>,
    /// The compensation, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<Adjusted>,
}

/// A compensation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Adjusted {
    /// Given, or taken where it is less than zero, credits.
    pub amount: Nanocredits,
    /// What the account could not pay, credits.
    pub loss: Nanocredits,
    /// The ledger's position of its event.
    pub position: u64,
    /// It had been done before by the same run.
    pub before: bool,
}

/// The sums of one account.
#[derive(Debug, Default)]
pub(super) struct Sums(BTreeMap<String, Line>);

impl Sums {
    /// One more request: what was charged, if that is final, and what would have been.
    pub(super) fn add(
        &mut self,
        (account_id, livemode): (AccountId, bool),
        model: &str,
        charges: Option<(Nanocredits, Option<Nanocredits>)>,
    ) -> Result<(), MoneyError> {
        if !self.0.contains_key(model) {
            self.0.insert(model.to_owned(), Line::of(account_id, livemode, model));
        }
        let Some(line) = self.0.get_mut(model) else { return Ok(()) };
        let Some((old, new)) = charges else {
            line.open += 1;
            return Ok(());
        };
        line.requests += 1;
        line.old = line.old.plus(old)?;
        line.new = line.new.zip(new).map(|(sum, new)| sum.plus(new)).transpose()?;
        line.difference = line.new.map(|new| new.minus(line.old)).transpose()?;
        Ok(())
    }

    /// The lines of an account, by model; nothing is left.
    pub(super) fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

impl Line {
    fn of(account_id: AccountId, livemode: bool, model: &str) -> Self {
        let nothing = Nanocredits::ZERO;
        Self {
            account_id,
            livemode,
            model: model.to_owned(),
            requests: 0,
            open: 0,
            old: nothing,
            new: Some(nothing),
            difference: Some(nothing),
            adjusted: None,
        }
    }
}

/// Everything of one kind of money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Total {
    pub requests: u64,
    pub open: u64,
    pub old: Nanocredits,
    pub new: Nanocredits,
    pub difference: Nanocredits,
    /// Given in all, credits.
    pub given: Nanocredits,
    /// Taken in all, credits.
    pub taken: Nanocredits,
    /// What accounts could not pay, credits.
    pub loss: Nanocredits,
}

/// Live and test money never meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Of live accounts.
    pub live: Total,
    /// Of sandbox accounts.
    pub sandbox: Total,
    /// Models that were used and have no price in the other book. Their requests are not in the sums.
    pub missing_models: BTreeSet<String>,
}

impl Totals {
    /// One more line.
    pub(super) fn add(&mut self, line: &Line) -> Result<(), MoneyError> {
        let total = if line.livemode { &mut self.live } else { &mut self.sandbox };
        total.open += line.open;
        let Some((new, difference)) = line.new.zip(line.difference) else {
            self.missing_models.insert(line.model.clone());
            return Ok(());
        };
        total.requests += line.requests;
        total.old = total.old.plus(line.old)?;
        total.new = total.new.plus(new)?;
        total.difference = total.difference.plus(difference)?;
        if let Some(adjusted) = &line.adjusted {
            total.given = total.given.plus(adjusted.amount.max(Nanocredits::ZERO))?;
            total.taken = total.taken.minus(adjusted.amount.min(Nanocredits::ZERO))?;
            total.loss = total.loss.plus(adjusted.loss)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const WHOSE: (AccountId, bool) = (AccountId(Uuid::nil()), true);

    #[test]
    fn a_model_without_a_price_is_named_and_in_no_sum() {
        let credits = Nanocredits::new;
        let mut sums = Sums::default();
        sums.add(WHOSE, "a", Some((credits(5), Some(credits(3))))).unwrap();
        sums.add(WHOSE, "a", None).unwrap();
        sums.add(WHOSE, "b", Some((credits(7), None))).unwrap();
        let lines = sums.take();
        assert_eq!((lines[0].requests, lines[0].open, lines[0].difference), (1, 1, Some(credits(-2))));
        assert_eq!((lines[1].new, lines[1].difference, lines[1].old), (None, None, credits(7)));
        assert!(sums.take().is_empty());
        let mut totals = Totals::default();
        lines.iter().for_each(|line| totals.add(line).unwrap());
        assert_eq!((totals.live.requests, totals.live.old, totals.live.open), (1, credits(5), 1));
        assert_eq!((totals.missing_models.first().map(String::as_str), totals.sandbox), (Some("b"), Total::default()));
    }

    proptest! {
        #[test]
        fn the_differences_add_up(requests in prop::collection::vec((0_u8..4, 0_i64..1000, 0_i64..1000), 0..60)) {
            let mut sums = Sums::default();
            for (model, old, new) in &requests {
                sums.add(WHOSE, &model.to_string(), Some((Nanocredits::new(*old), Some(Nanocredits::new(*new))))).unwrap();
            }
            let mut totals = Totals::default();
            sums.take().iter().for_each(|line| totals.add(line).unwrap());
            let expected: i64 = requests.iter().map(|(_, old, new)| new - old).sum();
            prop_assert_eq!((totals.live.difference.get(), totals.live.requests), (expected, requests.len() as u64));
        }
    }
}
