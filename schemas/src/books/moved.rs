use super::slots::Change;
use crate::money::{MoneyError, Nanocredits, Picodollars};

/// The money that one event moved, as the fold decided it; what the event itself claims is not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bought or given by `CreditsAdded`, credits.
    pub added: Nanocredits,
    /// Given (more than zero) or taken (less than zero) by `CreditsAdjusted`, credits.
    pub adjusted: Nanocredits,
    /// A hold began (more than zero) or ended (less than zero), credits.
    pub held: Nanocredits,
    /// Charged, credits.
    pub charged: Nanocredits,
    /// Borne by the platform, credits.
    pub lost: Nanocredits,
    /// What the provider bills for a usage, by our own rating, US$.
    pub cost: Picodollars,
    /// A request's ending took effect.
    pub ended: bool,
}

impl Moved {
    /// What the account's credits in all changed by, credits.
    pub fn bought(&self) -> Result<Nanocredits, MoneyError> {
        self.added.plus(self.adjusted)
    }

    /// Whether no money moved.
    pub fn is_nothing(&self) -> bool {
        *self == Self { ended: self.ended, ..Self::default() }
    }
}

impl From<Change> for Moved {
    fn from(change: Change) -> Self {
        let Change { held, charged, lost, ended, .. } = change;
        Self { held, charged, lost, ended, ..Self::default() }
    }
}
