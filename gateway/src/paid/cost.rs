//! Tells the customer what an answer cost: `usage.cost`, US$, a number; `usage.cost_credits`, a decimal string.

use std::fmt::Write;

use schemas::event::UsageSource;
use schemas::money::{Nanocredits, Picodollars};
use schemas::rate::Usage;

use super::route::Words;
use crate::splice::{Object, Splice};

/// The value of `usage` with the cost in it; `None` if it is no object.
fn into_usage(usage: &str, charged: Nanocredits) -> Option<String> {
    let object = Object::parse(usage).ok()?;
    let mut splice = Splice::new(&object);
    splice.set("cost", dollars(charged));
    splice.set("cost_credits", credits(charged));
    Some(splice.finish().unwrap_or_else(|| usage.to_owned()))
}

/// What an answer cost, and what it used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost<'a> {
    pub(super) words: &'a Words,
    pub(super) usage: &'a Usage,
    pub(super) source: UsageSource,
    pub(super) charged: Nanocredits,
}

impl Cost<'_> {
    /// An event whose usage tells the cost; a usage of ours where the provider sent none. `None` if there is no place for it.
    pub(super) fn into_event(self, event: &str) -> Option<String> {
        self.into(event, self.words.usage_of_event)
    }

    /// A whole answer that tells the cost; with a usage of ours where the provider sent none.
    pub(super) fn into_whole(self, answer: &str) -> Option<String> {
        self.into(answer, &["usage"])
    }

    /// The text of an object in which the member that a path names tells the cost.
    fn into(self, text: &str, path: &[&'static str]) -> Option<String> {
        let object = Object::parse(text).ok()?;
        let (member, rest) = path.split_first()?;
        let told = object.get(member);
        let told = if rest.is_empty() {
            let told = told.and_then(|told| into_usage(told, self.charged));
            told.unwrap_or_else(|| self.our_usage())
        } else {
            self.into(told?, rest)?
        };
        let mut splice = Splice::new(&object);
        splice.set(member, told);
        splice.finish()
    }

    /// The value of `usage` where the provider said nothing.
    pub(super) fn our_usage(self) -> String {
        let (input, output) = (self.usage.input_tokens, self.usage.output_tokens);
        let mut usage = format!(r#"{{"{}":{input},"#, self.words.read);
        // Writing to a String cannot fail.
        let _ = self.words.written.map_or(Ok(()), |written| write!(usage, r#""{written}":{output},"#));
        if self.words.total {
            let _ = write!(usage, r#""total_tokens":{},"#, input.saturating_add(output));
        }
        if self.usage.images > 0 {
            let _ = write!(usage, r#""images":{},"#, self.usage.images);
        }
        if self.source == UsageSource::Estimated {
            usage.push_str(r#""estimated":true,"#);
        }
        let _ = write!(usage, r#""cost":{},"cost_credits":{}}}"#, dollars(self.charged), credits(self.charged));
        usage
    }
}

/// A whole answer with the original Layers' own words on it.
pub(super) fn with_layers(answer: &str, charged: Nanocredits, latency_ms: u64) -> Option<String> {
    let object = Object::parse(answer).ok()?;
    let mut splice = Splice::new(&object);
    splice.set("layers", format!(r#"{{"credits_used":{charged},"latency_ms":{latency_ms}}}"#));
    splice.finish()
}

/// An exact JSON number: a nanocredit is ten picodollars.
fn dollars(charged: Nanocredits) -> String {
    charged.in_dollars().unwrap_or(Picodollars::MAX).to_string()
}

fn credits(charged: Nanocredits) -> String {
    format!("\"{charged}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = Words {
        does: "chat",
        prompt: "messages",
        limit: "max_tokens",
        usage_of_event: &["response", "usage"],
        read: "prompt_tokens",
        written: Some("completion_tokens"),
        total: true,
    };

    #[test]
    fn the_providers_price_gives_way_to_the_customers() {
        let usage = r#"{"prompt_tokens": 2000,"cost":0.021,"completion_tokens": 1000}"#;
        let expected = r#"{"cost_credits":"3.36","prompt_tokens": 2000,"cost":0.0336,"completion_tokens": 1000}"#;
        assert_eq!(into_usage(usage, "3.36".parse().unwrap()).unwrap(), expected);
    }

    #[test]
    fn an_estimate_says_that_it_is_one() {
        let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        let cost = Cost { words: &WORDS, usage: &usage, source: UsageSource::Estimated, charged: Nanocredits::new(1) };
        let json: serde_json::Value = serde_json::from_str(&cost.our_usage()).unwrap();
        assert_eq!((json["total_tokens"].as_u64(), json["estimated"].as_bool()), (Some(7), Some(true)));
        assert_eq!(json["cost_credits"], "0.000000001");
    }

    #[test]
    fn the_usage_may_lie_deeper() {
        let charged = "3.36".parse().unwrap();
        let usage = Usage { images: 2, ..Usage::default() };
        let cost = Cost { words: &WORDS, usage: &usage, source: UsageSource::Provider, charged };
        let told = |event: &str| cost.into_event(event);
        let event = r#"{"type":"x", "response":{"id":"a","usage":{"input_tokens": 1}}}"#;
        let expected =
            r#"{"type":"x", "response":{"id":"a","usage":{"cost":0.0336,"cost_credits":"3.36","input_tokens": 1}}}"#;
        assert_eq!(told(event).unwrap(), expected);
        let ours = r#"{"response":{"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0,"images":2,"cost":0.0336,"cost_credits":"3.36"}}}"#;
        assert_eq!(told(r#"{"response":{"usage":null}}"#).unwrap(), ours);
        assert_eq!(told(r#"{"type":"x"}"#), None);
    }
}
