//! An estimated usage is charged by the provider's figures once they are known. Pure.

use schemas::money::{Nanocredits, Picodollars};
use schemas::price_book::PriceBook;
use schemas::rate::{RateError, Usage, charge, rate};
use serde::Serialize;

use super::figures::Figures;
use crate::settled::Settled;

/// What is moved so that the request costs what the provider's figures come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TrueUp {
    /// What the request costs by the provider's figures, credits: never more than its hold.
    pub charge: Nanocredits,
    /// Given, or taken where it is less than zero, credits.
    pub amount: Nanocredits,
    /// What the platform bears more than before: the part beyond the hold, credits.
    pub loss: Nanocredits,
}

/// The true-up of a usage by the prices that it was charged by; `None` where the provider says too little.
///
/// Tokens are rated; where only a cost is said, the margin is put on it.
pub(super) fn true_up(
    prices: &PriceBook,
    model_id: &str,
    ours: &Usage,
    theirs: &Figures,
    settled: &Settled,
) -> Result<Option<TrueUp>, RateError> {
    let by_cost = |cost: Picodollars| {
        let model = prices.models.get(model_id).ok_or(RateError::UnknownModel)?;
        charge(cost, prices.margin_bps(model)).map_err(RateError::from)
    };
    let worth = match (theirs.usage(ours), theirs.cost_usd) {
        (Some(usage), _) => rate(prices, model_id, &usage)?.charge,
        (None, Some(cost)) => by_cost(cost)?,
        (None, None) => return Ok(None),
    };
    let charge = settled.would_pay(worth, settled.hold);
    let borne = settled.worth.minus(settled.paid)?;
    Ok(Some(TrueUp { charge, amount: settled.paid.minus(charge)?, loss: worth.minus(charge)?.minus_or_zero(borne) }))
}

impl TrueUp {
    /// Whether nothing is to be moved.
    pub fn is_nothing(&self) -> bool {
        self.amount == Nanocredits::ZERO && self.loss == Nanocredits::ZERO
    }

    /// Whether an adjustment that was made says the same, whatever the account could pay then.
    pub(super) fn is_done_by(&self, amount: Nanocredits, loss: Nanocredits) -> bool {
        let sum = |amount: Nanocredits, loss: Nanocredits| i128::from(amount.get()) - i128::from(loss.get());
        sum(self.amount, self.loss) == sum(amount, loss)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::price_book::FIRST_CATALOGUE;

    use super::*;
    use crate::settled::Row;

    const MODEL: &str = "anthropic/claude-sonnet-4.5";

    fn book() -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, 1, 6_000).unwrap()
    }

    fn tokens(output: u64) -> Usage {
        Usage { output_tokens: output, ..Usage::default() }
    }

    fn theirs(output: u64) -> Figures {
        Figures { input_tokens: Some(0), output_tokens: Some(output), ..Figures::default() }
    }

    fn settled(hold: i64, output: u64) -> Settled {
        let worth = rate(&book(), MODEL, &tokens(output)).unwrap().charge;
        let (hold, worth) = (Some(hold * 1_000_000_000), Some(worth.get()));
        let row = Row { hold, worth, charged: worth.min(hold), ..Row::default() };
        Settled::of(&row).unwrap().unwrap()
    }

    fn moved(hold: i64, ours: u64, says: &Figures) -> [String; 3] {
        let it = true_up(&book(), MODEL, &tokens(ours), says, &settled(hold, ours)).unwrap().unwrap();
        [it.charge, it.amount, it.loss].map(|amount| amount.to_string())
    }

    /// 10,000 tokens are 24 credits.
    #[test]
    fn both_ways_and_never_more_than_the_hold() {
        assert_eq!(moved(100, 10_000, &theirs(5_000)), ["12", "12", "0"]);
        assert_eq!(moved(100, 10_000, &theirs(20_000)), ["48", "-24", "0"]);
        assert_eq!(moved(30, 10_000, &theirs(20_000)), ["30", "-6", "18"]);
        assert_eq!(moved(24, 10_000, &theirs(20_000)), ["24", "0", "24"]);
        assert_eq!(moved(10, 10_000, &theirs(20_000)), ["10", "0", "24"], "14 were lost before");
        assert_eq!(moved(100, 10_000, &theirs(10_000)), ["24", "0", "0"]);
    }

    #[test]
    fn where_only_a_cost_is_said_the_margin_is_put_on_it() {
        let says = Figures { cost_usd: Picodollars::from_json("0.3"), ..Figures::default() };
        assert_eq!(moved(100, 10_000, &says), ["48", "-24", "0"]);
        let nothing = true_up(&book(), MODEL, &tokens(1), &Figures::default(), &settled(100, 1)).unwrap();
        assert_eq!(nothing, None);
    }

    proptest! {
        #[test]
        fn it_is_done_once_whatever_the_account_could_pay(hold in 0_i64..200, ours in 0_u64..90_000, says in 0_u64..90_000, available in 0_i64..200) {
            let settled = settled(hold, ours);
            let it = true_up(&book(), MODEL, &tokens(ours), &theirs(says), &settled).unwrap().unwrap();
            prop_assert!(it.charge <= settled.hold.unwrap() && !it.loss.is_negative());
            let available = Nanocredits::from_credits(available).unwrap();
            let taken = Nanocredits::ZERO.minus(it.amount).unwrap().min(available).max(Nanocredits::ZERO);
            let amount = if it.amount.is_negative() { Nanocredits::ZERO.minus(taken).unwrap() } else { it.amount };
            let loss = it.loss.plus(amount.minus(it.amount).unwrap()).unwrap();
            prop_assert!(it.is_done_by(amount, loss));
        }
    }
}
