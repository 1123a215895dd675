//! Double entry: each event that moves money is one balanced posting over the ledger accounts below.
//!
//! | what moved | debit | credit |
//! |---|---|---|
//! | credits were added | cash | available |
//! | credits were adjusted (given) | adjustments | available |
//! | a hold began | available | held |
//! | a hold ended | held | available |
//! | a charge | available | revenue |
//! | a loss: usage beyond the hold, or late usage of an empty account | platform loss | usage not charged |
//! | a usage, by the provider's cost | cost of sales | provider payable |
//!
//! A settled request is both of the middle ones in one posting: held → revenue and, the rest, available.

use super::moved::Moved;
use crate::money::{MoneyError, Nanocredits};

/// What an amount is counted in. The two never meet in one sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Currency {
    /// Credits, counted in nanocredits.
    Credits,
    /// US dollars, counted in picodollars.
    Usd,
}

impl Currency {
    /// As it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Credits => "credits",
            Self::Usd => "usd",
        }
    }

    /// Decimal places that are counted.
    pub fn places(self) -> usize {
        match self {
            Self::Credits => 9,
            Self::Usd => 12,
        }
    }
}

/// The chart of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// Asset: what customers paid for credits, or were given as test credits.
    Cash,
    /// Liability: credits that customers can spend, leased ones among them.
    CustomerAvailable,
    /// Liability: credits in open holds.
    CustomerHeld,
    /// Income: what customers were charged.
    Revenue,
    /// Expense: credits given by correction, less those taken.
    Adjustments,
    /// Expense: what usage was worth that no customer was charged for.
    PlatformLoss,
    /// Income: the other side of it, so that revenue is what was charged and nothing else.
    UsageNotCharged,
    /// Expense, US$: what providers bill, by our own rating.
    CostOfSales,
    /// Liability, US$: the same, owed to providers.
    ProviderPayable,
}

impl LedgerAccount {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 9] = [
        Self::Cash,
        Self::CustomerAvailable,
        Self::CustomerHeld,
        Self::Revenue,
        Self::Adjustments,
        Self::PlatformLoss,
        Self::UsageNotCharged,
        Self::CostOfSales,
        Self::ProviderPayable,
    ];

    /// As it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cash => "cash",
            Self::CustomerAvailable => "customer_available",
            Self::CustomerHeld => "customer_held",
            Self::Revenue => "revenue",
            Self::Adjustments => "adjustments",
            Self::PlatformLoss => "platform_loss",
            Self::UsageNotCharged => "usage_not_charged",
            Self::CostOfSales => "cost_of_sales",
            Self::ProviderPayable => "provider_payable",
        }
    }

    /// What its amounts are counted in.
    pub fn currency(self) -> Currency {
        match self {
            Self::CostOfSales | Self::ProviderPayable => Currency::Usd,
            _ => Currency::Credits,
        }
    }
}

/// One line of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where.
    pub account: LedgerAccount,
    /// More than zero: debit; less than zero: credit. Smallest units of the account's currency; never zero.
    pub amount: i64,
}

/// The posting of what an event moved: at most one line an account, in the order of the chart. It sums to zero in each
/// currency; empty where no money moved.
///
/// # Errors
/// `Overflow`, beyond what 64 bits hold.
pub fn postings(moved: &Moved) -> Result<Vec<Posting>, MoneyError> {
    use LedgerAccount::*;
    let Moved { added, adjusted, held, charged, lost, cost, .. } = *moved;
    let none = Nanocredits::ZERO;
    let available = held.plus(charged)?.minus(added)?.minus(adjusted)?;
    let lines = [
        (Cash, added.get()),
        (CustomerAvailable, available.get()),
        (CustomerHeld, none.minus(held)?.get()),
        (Revenue, none.minus(charged)?.get()),
        (Adjustments, adjusted.get()),
        (PlatformLoss, lost.get()),
        (UsageNotCharged, none.minus(lost)?.get()),
        (CostOfSales, cost.get()),
        (ProviderPayable, cost.get().checked_neg().ok_or(MoneyError::Overflow)?),
    ];
    let lines = lines.into_iter().map(|(account, amount)| Posting { account, amount });
    Ok(lines.filter(|line| line.amount != 0).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Picodollars;

    fn lines(moved: Moved) -> Vec<(&'static str, i64)> {
        postings(&moved).unwrap().iter().map(|line| (line.account.name(), line.amount)).collect()
    }

    #[test]
    fn a_settled_hold_is_revenue_and_the_rest_is_available_again() {
        let moved = Moved { held: Nanocredits::new(-10), charged: Nanocredits::new(7), ..Moved::default() };
        assert_eq!(lines(moved), [("customer_available", -3), ("customer_held", 10), ("revenue", -7)]);
        let moved = Moved { held: Nanocredits::new(-10), charged: Nanocredits::new(10), ..Moved::default() };
        assert_eq!(lines(moved), [("customer_held", 10), ("revenue", -10)]);
    }

    #[test]
    fn what_moves_no_money_is_no_posting() {
        assert_eq!(lines(Moved { ended: true, ..Moved::default() }), []);
    }

    proptest! {
        #[test]
        fn every_posting_sums_to_zero_in_each_currency(parts: [i32; 5], cost: i64) {
            let [added, adjusted, held, charged, lost] = parts.map(|part| Nanocredits::new(part.into()));
            let cost = Picodollars::new(cost.max(-i64::MAX));
            let lines = postings(&Moved { added, adjusted, held, charged, lost, cost, ended: false }).unwrap();
            for currency in [Currency::Credits, Currency::Usd] {
                let of = lines.iter().filter(|line| line.account.currency() == currency);
                prop_assert_eq!(of.map(|line| i128::from(line.amount)).sum::<i128>(), 0);
            }
            prop_assert!(lines.is_sorted_by(|a, b| a.account < b.account) && lines.iter().all(|line| line.amount != 0));
        }
    }
}
