//! What a provider says of the usage of an answer, in whichever of the known dresses. Pure.

use std::fmt;

use schemas::money::Picodollars;
use schemas::rate::Usage;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

/// A provider's report, as far as it goes. Images and searches are not reported, but counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    input: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    /// Tokens from and for the cache are no part of the input, as Anthropic counts.
    cache_apart: bool,
    /// What it cost by the provider's own reckoning.
    pub cost_usd: Option<Picodollars>,
}

#[derive(Deserialize)]
struct Report<'a> {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    // The names that OpenAI's newer routes have for the same.
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    // Anthropic's words, which gateways in front of it keep.
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
}

impl Reported {
    /// Reads the value of `usage` where cached tokens are a part of the input. `None` if it says nothing of tokens.
    pub fn read(value: &str) -> Option<Self> {
        let report: Report<'_> = serde_json::from_str(value).ok()?;
        let input = report.prompt_tokens.or(report.input_tokens);
        let output = report.completion_tokens.or(report.output_tokens);
        if input.is_none() && output.is_none() {
            return None;
        }
        let details = report.prompt_tokens_details.or(report.input_tokens_details);
        let (cached, written) =
            details.map_or((None, None), |details| (details.cached_tokens, details.cache_write_tokens));
        let details = report.completion_tokens_details.or(report.output_tokens_details);
        Some(Self {
            input: count(input),
            cached: count(cached.or(report.cache_read_input_tokens)),
            cache_write: count(written.or(report.cache_creation_input_tokens)),
            output: count(output),
            reasoning: count(details.and_then(|details| details.reasoning_tokens)),
            cache_apart: false,
            cost_usd: report.cost.and_then(|cost| Picodollars::from_json(cost.get())),
        })
    }

    /// Reads the value of `usage` as Anthropic writes it: tokens from and for the cache stand beside the input, and a later
    /// report repeats only what has changed. `None` if it says nothing of tokens.
    pub fn read_apart(value: &str) -> Option<Self> {
        let report: Report<'_> = serde_json::from_str(value).ok()?;
        let cache = (report.cache_read_input_tokens, report.cache_creation_input_tokens);
        if report.input_tokens.is_none() && report.output_tokens.is_none() && cache.0.is_none() && cache.1.is_none() {
            return None;
        }
        Some(Self {
            input: count(report.input_tokens),
            cached: count(cache.0),
            cache_write: count(cache.1),
            output: count(report.output_tokens),
            reasoning: None,
            cache_apart: true,
            cost_usd: report.cost.and_then(|cost| Picodollars::from_json(cost.get())),
        })
    }

    /// A report that came after another. Reports count from the beginning, so they are never added up.
    pub fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier.filter(|_| self.cache_apart) else { return self };
        Self {
            input: self.input.or(earlier.input),
            cached: self.cached.or(earlier.cached),
            cache_write: self.cache_write.or(earlier.cache_write),
            output: self.output.or(earlier.output),
            reasoning: self.reasoning.or(earlier.reasoning),
            cache_apart: true,
            cost_usd: self.cost_usd.or(earlier.cost_usd),
        }
    }

    /// What was used by this report; no part is more than its whole.
    pub fn usage(&self) -> Usage {
        let tokens = |count: Option<u64>| count.unwrap_or(0);
        let (cached, written) = (tokens(self.cached), tokens(self.cache_write));
        let beside = if self.cache_apart { cached.saturating_add(written) } else { 0 };
        Usage {
            input_tokens: tokens(self.input).saturating_add(beside),
            cached_tokens: cached,
            cache_write_tokens: written,
            output_tokens: tokens(self.output),
            reasoning_tokens: tokens(self.reasoning),
            images: 0,
            searches: 0,
        }
        .consistent()
    }
}

fn count(count: Option<Count>) -> Option<u64> {
    count.map(|Count(count)| count)
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
        let reported = Reported::read(value).unwrap();
        assert_eq!((reported.usage(), reported.cost_usd), (usage, None));
    }

    #[test]
    fn vercels_dress() {
        let value = r#"{"prompt_tokens":2000,"completion_tokens":1000,"cost":0.021,"is_byok":false,
            "cache_creation_input_tokens":500,"prompt_tokens_details":{"cached_tokens":100},"cost_details":null}"#;
        let reported = Reported::read(value).unwrap();
        assert_eq!((reported.usage().cache_write_tokens, reported.usage().cached_tokens), (500, 100));
        assert_eq!(reported.cost_usd.unwrap().to_string(), "0.021");
    }

    #[test]
    fn the_dress_of_openais_responses() {
        let value = r#"{"input_tokens":50,"input_tokens_details":{"cached_tokens":20,"cache_write_tokens":0},
            "output_tokens":30,"output_tokens_details":{"reasoning_tokens":10},"total_tokens":80}"#;
        let usage =
            Usage { input_tokens: 50, cached_tokens: 20, output_tokens: 30, reasoning_tokens: 10, ..Usage::default() };
        assert_eq!(Reported::read(value).unwrap().usage(), usage);
    }

    #[test]
    fn anthropics_reports_stand_beside_and_after_each_other() {
        let start =
            r#"{"input_tokens":25,"cache_creation_input_tokens":100,"cache_read_input_tokens":50,"output_tokens":1}"#;
        let start = Reported::read_apart(start).unwrap();
        let delta = Reported::read_apart(r#"{"output_tokens":15}"#).unwrap().after(Some(start));
        let usage = Usage {
            input_tokens: 175,
            cached_tokens: 50,
            cache_write_tokens: 100,
            output_tokens: 15,
            ..Usage::default()
        };
        assert_eq!(delta.usage(), usage);
        // What OpenAI's routes say later replaces all that they said before.
        let earlier = Reported::read(r#"{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":9}}"#);
        let later = Reported::read(r#"{"prompt_tokens":9,"completion_tokens":2}"#).unwrap().after(earlier);
        assert_eq!((later.usage().cached_tokens, later.usage().output_tokens), (0, 2));
        assert_eq!(Reported::read_apart("{}"), None);
    }

    #[test]
    fn odd_numbers_are_read_and_nonsense_is_none() {
        let usage = Reported::read(r#"{"prompt_tokens":12.0,"completion_tokens":-3}"#).unwrap().usage();
        assert_eq!((usage.input_tokens, usage.output_tokens), (12, 0));
        let usage =
            Reported::read(r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}"#).unwrap().usage();
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
