use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account's plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// To try it.
    Free,
    /// One person.
    Starter,
    /// One product.
    Pro,
    /// Many programs.
    Team,
    /// Measurements: runs through the same limiter, whose limit is never reached.
    Bench,
}

/// Name and limit of each tier, in requests a minute for the account as a whole; a burst may use a whole minute's.
pub const TIERS: [(Tier, &str, u32); 5] = [
    (Tier::Free, "free", 10),
    (Tier::Starter, "starter", 60),
    (Tier::Pro, "pro", 300),
    (Tier::Team, "team", 1_000),
    (Tier::Bench, "bench", 1_000_000_000),
];

impl Tier {
    fn row(self) -> &'static (Tier, &'static str, u32) {
        TIERS.iter().find(|row| row.0 == self).unwrap_or(&TIERS[0])
    }

    /// As it is written in events, tables and commands.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Requests a minute, shared by all gateways that serve the account.
    pub fn requests_per_minute(self) -> u32 {
        self.row().2
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Not the name of a tier.
#[derive(Debug, thiserror::Error)]
#[error("no tier is named '{0}'; there are free, starter, pro, team and bench")]
pub struct UnknownTier(String);

impl FromStr for Tier {
    type Err = UnknownTier;
    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        TIERS.iter().find(|row| row.1 == text).map(|row| row.0).ok_or_else(|| UnknownTier(text.to_owned()))
    }
}
