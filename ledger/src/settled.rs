//! What a request has cost its account, and what it would have cost with another worth. Pure.

use schemas::money::{MoneyError, Nanocredits};

/// What the ledger's tables say of a request that has a usage, nanocredits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Row<'a> {
    /// What was set aside.
    pub hold: Option<i64>,
    /// What its usage is worth by the ledger's own rating.
    pub worth: Option<i64>,
    /// What was charged out of the hold.
    pub charged: Option<i64>,
    /// How it ended.
    pub ending: Option<&'a str>,
    /// What was taken by the adjustment of a late usage, zero or less.
    pub late: Option<i64>,
}

/// A request whose charge is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The most that it could be charged, credits; none where its authorization never came.
    pub hold: Option<Nanocredits>,
    /// What its usage is worth by the ledger's own rating, credits.
    pub worth: Nanocredits,
    /// What the account paid, credits: out of the hold, or late.
    pub paid: Nanocredits,
    /// It was late, and the account had less than was due.
    pub short: bool,
}

impl Settled {
    /// `None` while its charge is not final.
    ///
    /// # Errors
    /// When an amount is out of range.
    pub fn of(row: &Row<'_>) -> Result<Option<Self>, MoneyError> {
        let (hold, worth) = (row.hold.map(Nanocredits::new), Nanocredits::new(row.worth.unwrap_or_default()));
        if let Some(charged) = row.charged {
            return Ok(Some(Self { hold, worth, paid: Nanocredits::new(charged), short: false }));
        }
        if !matches!(row.ending, Some("released" | "expired")) {
            return Ok(None);
        }
        // It had ended without a charge when its usage came.
        let paid = Nanocredits::ZERO.minus(Nanocredits::new(row.late.unwrap_or_default()))?;
        let due = hold.map_or(worth, |hold| worth.min(hold));
        Ok(Some(Self { hold, worth, paid, short: paid < due }))
    }

    /// What the account would have paid for a usage of this worth, at most `limit`.
    ///
    /// A late usage that the account could not pay in full took all that there was; no other worth could have taken more.
    pub fn would_pay(&self, worth: Nanocredits, limit: Option<Nanocredits>) -> Nanocredits {
        let due = limit.map_or(worth, |limit| worth.min(limit));
        if self.short { due.min(self.paid) } else { due }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credits(amount: i64) -> Nanocredits {
        Nanocredits::new(amount)
    }

    #[test]
    fn a_request_is_settled_once_its_charge_is_final() {
        let row = Row { hold: Some(10), worth: Some(12), ..Row::default() };
        assert_eq!(Settled::of(&row).unwrap(), None);
        let row = Row { ending: Some("deducted"), ..row };
        assert_eq!(Settled::of(&row).unwrap(), None);
        let settled = Settled::of(&Row { charged: Some(10), ..row }).unwrap().unwrap();
        assert_eq!((settled.paid, settled.short), (credits(10), false));
        assert_eq!(settled.would_pay(credits(12), settled.hold), credits(10));
        assert_eq!(settled.would_pay(credits(7), settled.hold), credits(7));
    }

    #[test]
    fn a_late_usage_that_could_not_be_paid_would_not_have_been_paid_under_higher_prices_either() {
        let row = Row { hold: Some(10), worth: Some(8), ending: Some("expired"), ..Row::default() };
        let settled = Settled::of(&Row { late: Some(-3), ..row }).unwrap().unwrap();
        assert_eq!((settled.paid, settled.short), (credits(3), true));
        assert_eq!(settled.would_pay(credits(9), settled.hold), credits(3));
        assert_eq!(settled.would_pay(credits(2), settled.hold), credits(2));
        let paid = Settled::of(&Row { late: Some(-8), ..row }).unwrap().unwrap();
        assert_eq!(paid.would_pay(credits(9), paid.hold), credits(9));
    }

    proptest! {
        #[test]
        fn with_its_own_worth_a_request_costs_what_it_cost(hold in prop::option::of(0_i64..100), worth in 0_i64..150, paid in 0_i64..150, late: bool) {
            let due = hold.map_or(worth, |hold| worth.min(hold));
            let row = Row { hold, worth: Some(worth), ..Row::default() };
            let row = if late {
                Row { ending: Some("released"), late: Some(-paid.min(due)), ..row }
            } else {
                Row { ending: Some("deducted"), charged: Some(due), ..row }
            };
            let settled = Settled::of(&row).unwrap().unwrap();
            prop_assert_eq!(settled.would_pay(settled.worth, settled.hold), settled.paid);
        }
    }
}
