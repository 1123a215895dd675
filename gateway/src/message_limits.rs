//! How many messages a request may have, and how long each may be, by tier. A setting: where none is made there is no limit
//! but that of the body, since agents send long histories.

use std::collections::HashMap;

use anyhow::{Context, bail};
use schemas::tier::Tier;

use crate::error::Invalid;

/// The limits of the tiers that have any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageLimits(HashMap<Tier, Limit>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit {
    messages: u64,
    characters: usize,
}

impl MessageLimits {
    /// Reads `free=100x100000,starter=500x400000`: messages, and characters of each.
    ///
    /// # Errors
    /// When it is not of this form, or a tier has another name.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut limits = HashMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((tier, limit)) = part.split_once('=') else {
                bail!("'{part}' is not of the form tier=100x100000")
            };
            let tier: Tier = tier.parse()?;
            let Some((messages, characters)) = limit.split_once('x') else {
                bail!("'{limit}' is not of the form 100x100000")
            };
            let limit = Limit {
                messages: messages.parse().with_context(|| format!("'{messages}' is no number of messages"))?,
                characters: characters.parse().with_context(|| format!("'{characters}' is no number of characters"))?,
            };
            limits.insert(tier, limit);
        }
        Ok(Self(limits))
    }

    /// Refuses more or longer messages than the tier allows. `longest` is the place and the length of the longest one;
    /// `prompt` is what they are called.
    ///
    /// # Errors
    /// Which limit that is.
    pub(crate) fn check(
        &self,
        tier: Tier,
        prompt: &str,
        messages: u64,
        longest: (usize, usize),
    ) -> Result<(), Invalid> {
        let Some(limit) = self.0.get(&tier) else { return Ok(()) };
        if messages > limit.messages {
            let message = format!(
                "Invalid '{prompt}': array too long. Expected an array with maximum length {} on your plan, but got an array \
                 with length {messages} instead.",
                limit.messages
            );
            return Err(Invalid::new("array_above_max_length", prompt, message));
        }
        let (index, characters) = longest;
        if characters > limit.characters {
            let param = format!("{prompt}[{index}].content");
            let message = format!(
                "Invalid '{param}': string too long. Expected a string with maximum length {} on your plan, but got a string \
                 with length {characters} instead.",
                limit.characters
            );
            return Err(Invalid::new("string_above_max_length", param, message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_has_the_limits_that_are_set_and_no_other() {
        let limits = MessageLimits::parse("free=2x10, team=5x100").unwrap();
        assert!(limits.check(Tier::Free, "messages", 2, (1, 10)).is_ok());
        let many = limits.check(Tier::Free, "messages", 3, (1, 10)).unwrap_err();
        assert_eq!((many.code, many.param.as_deref()), (Some("array_above_max_length"), Some("messages")));
        let long = limits.check(Tier::Free, "input", 1, (1, 11)).unwrap_err();
        assert_eq!((long.code, long.param.as_deref()), (Some("string_above_max_length"), Some("input[1].content")));
        assert!(limits.check(Tier::Pro, "messages", 10_000, (0, 10_000_000)).is_ok());
        assert_eq!(MessageLimits::parse("").unwrap(), MessageLimits::default());
        for bad in ["free", "free=2", "free=ax2", "gold=2x2", "free=2x-1"] {
            assert!(MessageLimits::parse(bad).is_err(), "{bad}");
        }
    }
}
