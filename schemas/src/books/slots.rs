//! A request has three slots: authorization, usage, ending. Each is filled once, in any order; what a fill changes is
//! decided here and nowhere else.

use serde::{Deserialize, Serialize};

use super::Note;
use crate::money::{MoneyError, Nanocredits};

/// What is known of a request, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// What was set aside.
    pub authorization: Option<Authorization>,
    /// What the usage is worth, credits, by the ledger's own rating.
    pub usage: Option<Nanocredits>,
    /// How it ended.
    pub ending: Option<Ending>,
    /// What was charged, credits, once the ending took effect with a charge.
    pub charged: Option<Nanocredits>,
}

/// The first slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Set aside, credits.
    pub hold: Nanocredits,
    /// False if it was read after its gateway's fence: then it never held anything.
    pub counts: bool,
}

/// The third slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// `CreditsDeducted`, with the amount that it claims.
    Deducted(Nanocredits),
    /// `AuthorizationReleased`.
    Released,
    /// `AuthorizationExpired`.
    Expired,
}

/// What one fill changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The hold began (more than zero) or ended (less than zero), credits.
    pub held: Nanocredits,
    /// Charged, credits.
    pub charged: Nanocredits,
    /// Beyond the hold, so the platform's loss, credits.
    pub lost: Nanocredits,
    /// The request's ending took effect with this fill.
    pub ended: bool,
    /// What the ledger has to append because of it.
    pub follow_up: Option<FollowUp>,
    /// What is odd about it.
    pub note: Option<Note>,
}

/// What the ledger has to append because of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// `AuthorizationExpired`: the authorization was read after its gateway's fence.
    ExpireAtOnce,
    /// `CreditsAdjusted`: this much was used by a request that had ended without a charge, credits.
    SettleLateUsage {
        /// What the account pays as far as it can.
        due: Nanocredits,
        /// Beyond the hold.
        lost: Nanocredits,
    },
}

impl Slots {
    /// The authorization came. `counts` is false after its gateway's fence.
    pub fn fill_authorization(&mut self, hold: Nanocredits, counts: bool) -> Result<Change, MoneyError> {
        if self.authorization.is_some() {
            return Ok(Change::odd(Note::SecondAuthorization));
        }
        self.authorization = Some(Authorization { hold, counts });
        match (counts, self.ending) {
            (false, None | Some(Ending::Deducted(_))) => {
                Ok(Change { follow_up: Some(FollowUp::ExpireAtOnce), ..Change::odd(Note::AuthorizedAfterFence) })
            }
            (false, Some(Ending::Released | Ending::Expired)) => Ok(Change::odd(Note::AuthorizedAfterFence)),
            (true, Some(Ending::Released | Ending::Expired)) => Ok(Change { ended: true, ..Change::default() }),
            (true, Some(Ending::Deducted(claim))) => match self.usage {
                Some(usage) => self.charge(Nanocredits::ZERO, hold, usage, Some(claim)),
                None => Ok(Change { held: hold, ..Change::default() }),
            },
            (true, None) => Ok(Change { held: hold, ..Change::default() }),
        }
    }

    /// The usage came, worth so much by the ledger's own rating.
    pub fn fill_usage(&mut self, rated: Nanocredits) -> Result<Change, MoneyError> {
        if self.usage.is_some() {
            return Ok(Change::odd(Note::SecondUsage));
        }
        self.usage = Some(rated);
        match (self.counting_hold(), self.ending) {
            (Some(hold), Some(Ending::Deducted(claim))) => self.charge(hold, hold, rated, Some(claim)),
            (_, Some(Ending::Released | Ending::Expired)) => self.late(rated),
            _ => Ok(Change::default()),
        }
    }

    /// An ending came. Only an expiry may follow another ending: a deduction that still waits for its usage.
    pub fn fill_ending(&mut self, ending: Ending) -> Result<Change, MoneyError> {
        let waits = matches!(self.ending, Some(Ending::Deducted(_))) && self.charged.is_none();
        if self.ending.is_some() && !(waits && ending == Ending::Expired) {
            return Ok(Change::odd(Note::SecondEnding));
        }
        self.ending = Some(ending);
        let released =
            |hold: Nanocredits| Change { held: Nanocredits::new(-hold.get()), ended: true, ..Change::default() };
        match (ending, self.counting_hold(), self.usage) {
            (Ending::Deducted(claim), Some(hold), Some(usage)) => self.charge(hold, hold, usage, Some(claim)),
            (Ending::Deducted(_), _, _) => Ok(Change::default()),
            (Ending::Released, Some(hold), _) => Ok(released(hold)),
            (Ending::Released, None, _) => Ok(Change { ended: self.authorization.is_some(), ..Change::default() }),
            (Ending::Expired, Some(hold), Some(usage)) => self.charge(hold, hold, usage, None),
            (Ending::Expired, Some(hold), None) => Ok(released(hold)),
            (Ending::Expired, None, Some(usage)) => Ok(Change { ended: true, ..self.late(usage)? }),
            (Ending::Expired, None, None) => Ok(Change { ended: true, ..Change::default() }),
        }
    }

    /// What is set aside for it now, credits.
    pub fn held(&self) -> Nanocredits {
        let over = self.charged.is_some() || matches!(self.ending, Some(Ending::Released | Ending::Expired));
        if over { Nanocredits::ZERO } else { self.counting_hold().unwrap_or_default() }
    }

    /// Authorized, and its ending took effect.
    pub fn has_ended(&self) -> bool {
        self.charged.is_some() || matches!(self.ending, Some(Ending::Released | Ending::Expired))
    }

    fn counting_hold(&self) -> Option<Nanocredits> {
        self.authorization.filter(|authorization| authorization.counts).map(|authorization| authorization.hold)
    }

    fn charge(
        &mut self,
        held: Nanocredits,
        hold: Nanocredits,
        usage: Nanocredits,
        claim: Option<Nanocredits>,
    ) -> Result<Change, MoneyError> {
        let charged = usage.min(hold);
        self.charged = Some(charged);
        Ok(Change {
            held: Nanocredits::new(-held.get()),
            charged,
            lost: usage.minus(charged)?,
            ended: true,
            follow_up: None,
            note: claim.filter(|claim| *claim != charged).map(|_| Note::ClaimDiffers),
        })
    }

    /// Used, but the hold is gone: what the account can still pay is taken by adjustment, never more than was held.
    fn late(&self, usage: Nanocredits) -> Result<Change, MoneyError> {
        let due = self.authorization.map_or(usage, |authorization| usage.min(authorization.hold));
        let lost = usage.minus(due)?;
        Ok(Change { follow_up: Some(FollowUp::SettleLateUsage { due, lost }), ..Change::odd(Note::LateUsage) })
    }
}

impl Change {
    fn odd(note: Note) -> Self {
        Self { note: Some(note), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Fill {
        Authorization,
        Usage,
        Deducted,
    }

    fn fill(slots: &mut Slots, what: Fill, hold: Nanocredits, rated: Nanocredits) -> Change {
        match what {
            Fill::Authorization => slots.fill_authorization(hold, true),
            Fill::Usage => slots.fill_usage(rated),
            Fill::Deducted => slots.fill_ending(Ending::Deducted(rated.min(hold))),
        }
        .unwrap()
    }

    proptest! {
        #[test]
        fn the_order_of_the_three_does_not_matter(
            order in Just([Fill::Authorization, Fill::Usage, Fill::Deducted]).prop_shuffle(),
            hold in 0_i64..1_000, rated in 0_i64..1_500,
        ) {
            let (hold, rated) = (Nanocredits::new(hold), Nanocredits::new(rated));
            let mut slots = Slots::default();
            let (mut held, mut charged, mut lost) = (0, 0, 0);
            for what in order {
                let change = fill(&mut slots, what, hold, rated);
                held += change.held.get();
                charged += change.charged.get();
                lost += change.lost.get();
                prop_assert_eq!(held, slots.held().get());
                prop_assert_eq!(change.note, None);
            }
            prop_assert_eq!((held, charged, lost), (0, rated.min(hold).get(), rated.minus_or_zero(hold).get()));
            prop_assert_eq!(slots.charged, Some(rated.min(hold)));
        }
    }

    #[test]
    fn an_expiry_overrides_a_deduction_that_waits_for_its_usage_and_the_usage_is_late_then() {
        let (hold, rated) = (Nanocredits::new(10), Nanocredits::new(7));
        let mut slots = Slots::default();
        slots.fill_authorization(hold, true).unwrap();
        slots.fill_ending(Ending::Deducted(rated)).unwrap();
        assert_eq!(slots.held(), hold);
        assert_eq!(slots.fill_ending(Ending::Expired).unwrap().held, Nanocredits::new(-10));
        let late = slots.fill_usage(rated).unwrap();
        assert_eq!(late.follow_up, Some(FollowUp::SettleLateUsage { due: rated, lost: Nanocredits::ZERO }));
        assert_eq!(slots.fill_ending(Ending::Released).unwrap().note, Some(Note::SecondEnding));
    }

    #[test]
    fn an_expiry_settles_from_the_usage_that_came() {
        let mut slots = Slots::default();
        slots.fill_authorization(Nanocredits::new(10), true).unwrap();
        slots.fill_usage(Nanocredits::new(7)).unwrap();
        let change = slots.fill_ending(Ending::Expired).unwrap();
        assert_eq!((change.held.get(), change.charged.get(), slots.held().get()), (-10, 7, 0));
        assert_eq!(slots.fill_ending(Ending::Deducted(Nanocredits::new(7))).unwrap().note, Some(Note::SecondEnding));
    }

    #[test]
    fn an_authorization_after_its_fence_holds_nothing() {
        let mut slots = Slots::default();
        let change = slots.fill_authorization(Nanocredits::new(10), false).unwrap();
        assert_eq!((change.held.get(), change.follow_up), (0, Some(FollowUp::ExpireAtOnce)));
        assert!(slots.fill_ending(Ending::Expired).unwrap().ended);
        assert!(matches!(
            slots.fill_usage(Nanocredits::new(3)).unwrap().follow_up,
            Some(FollowUp::SettleLateUsage { .. })
        ));
    }

    #[test]
    fn a_release_before_its_authorization_ends_it_when_it_comes() {
        let mut slots = Slots::default();
        assert!(!slots.fill_ending(Ending::Released).unwrap().ended);
        let change = slots.fill_authorization(Nanocredits::new(10), true).unwrap();
        assert_eq!((change.held.get(), change.ended), (0, true));
    }
}
