//! What a provider says of the usage of an answer, in whichever of the known dresses. Pure.

use std::fmt;

use schemas::money::Picodollars;
use schemas::rate::Usage;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// A provider's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// Tokens. Images and searches are not reported, but counted.
    pub usage: Usage,
    /// What it cost by the provider's own reckoning.
    pub cost_usd: Option<Picodollars>,
}

#[derive(Deserialize)]
struct Report<'a> {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    // The names that Anthropic's and OpenAI's newer routes have for the same.
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    // Anthropic's words, which gateways in front of it keep.
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
}

impl Reported {
    /// Reads the value of `usage`. `None` if it says nothing of tokens.
    pub fn read(value: &str) -> Option<Self> {
        let report: Report<'_> = serde_json::from_str(value).ok()?;
        let input = report.prompt_tokens.or(report.input_tokens);
        let output = report.completion_tokens.or(report.output_tokens);
        if input.is_none() && output.is_none() {
            return None;
        }
        let count = |count: Option<Count>| count.map_or(0, |Count(count)| count);
        let (cached, written) = match &report.prompt_tokens_details {
            Some(details) => (details.cached_tokens, details.cache_write_tokens),
            None => (None, None),
        };
        let reasoning = report.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        let usage = Usage {
            input_tokens: count(input),
            cached_tokens: count(cached.or(report.cache_read_input_tokens)),
            cache_write_tokens: count(written.or(report.cache_creation_input_tokens)),
            output_tokens: count(output),
            reasoning_tokens: count(reasoning),
            images: 0,
            searches: 0,
        };
        Some(Self {
            usage: usage.consistent(),
            cost_usd: report.cost.and_then(|cost| Picodollars::from_json(cost.get())),
        })
    }
}

/// A number of tokens. Some providers write `12.0`, and some less than nothing.
#[derive(Clone, Copy)]
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of tokens")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(number).unwrap_or(0)))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count, E> {
                Ok(Count(number as u64))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn openais_dress() {
        let value = r#"{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,
            "prompt_tokens_details":{"cached_tokens":4,"cache_write_tokens":3,"audio_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":6}}"#;
        let usage = Usage {
            input_tokens: 19,
            cached_tokens: 4,
            cache_write_tokens: 3,
            output_tokens: 10,
            reasoning_tokens: 6,
            ..Usage::default()
        };
        assert_eq!(Reported::read(value), Some(Reported { usage, cost_usd: None }));
    }

    #[test]
    fn vercels_dress() {
        let value = r#"{"prompt_tokens":2000,"completion_tokens":1000,"cost":0.021,"is_byok":false,
            "cache_creation_input_tokens":500,"prompt_tokens_details":{"cached_tokens":100},"cost_details":null}"#;
        let reported = Reported::read(value).unwrap();
        assert_eq!((reported.usage.cache_write_tokens, reported.usage.cached_tokens), (500, 100));
        assert_eq!(reported.cost_usd.unwrap().to_string(), "0.021");
    }

    #[test]
    fn odd_numbers_are_read_and_nonsense_is_none() {
        let usage = Reported::read(r#"{"prompt_tokens":12.0,"completion_tokens":-3}"#).unwrap().usage;
        assert_eq!((usage.input_tokens, usage.output_tokens), (12, 0));
        let usage = Reported::read(r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}"#).unwrap().usage;
        assert_eq!(usage.cached_tokens, 5);
        for value in ["{}", "null", "[]", r#"{"prompt_tokens":"many"}"#, r#"{"total_tokens":3}"#] {
            assert_eq!(Reported::read(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(usage in "\\PC{0,40}") {
            let _ = Reported::read(&usage);
        }
    }
}
