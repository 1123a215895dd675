//! What an answer used, and money as exact decimals.

use std::fmt::Write;

/// Tokens of one call. Cached and cache-write tokens are part of the prompt's, reasoning is part of the completion's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Read from the cache.
    pub cached_tokens: u64,
    /// Written to the cache.
    pub cache_write_tokens: u64,
    /// Of the answer.
    pub completion_tokens: u64,
    /// Thought.
    pub reasoning_tokens: u64,
    /// Images made.
    pub images: u64,
}

impl Usage {
    /// The usage when only `delivered` of `chunks` chunks went out.
    #[must_use]
    pub fn share(self, delivered: u64, chunks: u64) -> Self {
        let completion_tokens = (self.completion_tokens * delivered.min(chunks)).checked_div(chunks).unwrap_or(0);
        Self { completion_tokens, reasoning_tokens: self.reasoning_tokens.min(completion_tokens), ..self }
    }

    /// Appends it as the `usage` object of an answer.
    pub fn write_json(&self, cost_picodollars: u64, out: &mut String) {
        let cost = dollars(cost_picodollars.into());
        let Self { prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens, .. } = self;
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            r#"{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens},"total_tokens":{},"cost":{cost},"is_byok":false,"prompt_tokens_details":{{"cached_tokens":{cached_tokens},"cache_write_tokens":{cache_write_tokens},"audio_tokens":0}},"cost_details":{{"upstream_inference_cost":{cost}}},"completion_tokens_details":{{"reasoning_tokens":{reasoning_tokens},"audio_tokens":0}},"cache_creation_input_tokens":{cache_write_tokens},"market_cost":{cost}}}"#,
            prompt_tokens + completion_tokens,
        );
    }
}

/// Picodollars as a decimal number of dollars, without trailing zeros.
pub fn dollars(picodollars: u128) -> String {
    const PICO: u128 = 1_000_000_000_000;
    let mut text = format!("{}.{:012}", picodollars / PICO, picodollars % PICO);
    text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact_and_short() {
        assert_eq!(dollars(0), "0");
        assert_eq!(dollars(21_000_000_000), "0.021");
        assert_eq!(dollars(1_000_000_000_000), "1");
        assert_eq!(dollars(10_000_000_000_000), "10");
        assert_eq!(dollars(1), "0.000000000001");
    }

    #[test]
    fn a_share_is_rounded_down() {
        let usage = Usage { prompt_tokens: 7, completion_tokens: 10, reasoning_tokens: 6, ..Usage::default() };
        let expected = Usage { completion_tokens: 3, reasoning_tokens: 3, ..usage };
        assert_eq!(usage.share(3, 8), expected);
        assert_eq!(usage.share(8, 8), usage);
        assert_eq!(usage.share(0, 0).completion_tokens, 0);
    }
}
