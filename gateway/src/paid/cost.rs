//! Tells the customer what an answer cost: `usage.cost`, US$, a number; `usage.cost_credits`, a decimal string.

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

/// An event whose usage tells the cost; an estimated usage where the provider sent none. `None` if there is no place for it.
pub(super) fn into_event(event: &str, words: &Words, usage: &Usage, charged: Nanocredits) -> Option<String> {
    into(event, words.usage_of_event, words, usage, charged)
}

/// A whole answer that tells the cost; an estimated usage where the provider sent none.
pub(super) fn into_whole(answer: &str, words: &Words, usage: &Usage, charged: Nanocredits) -> Option<String> {
    into(answer, &["usage"], words, usage, charged)
}

/// The text of an object in which the member that a path names tells the cost.
fn into(text: &str, path: &[&'static str], words: &Words, usage: &Usage, charged: Nanocredits) -> Option<String> {
    let object = Object::parse(text).ok()?;
    let (member, rest) = path.split_first()?;
    let told = object.get(member);
    let told = if rest.is_empty() {
        let told = told.and_then(|told| into_usage(told, charged));
        told.unwrap_or_else(|| estimated_usage(words, usage, charged))
    } else {
        into(told?, rest, words, usage, charged)?
    };
    let mut splice = Splice::new(&object);
    splice.set(member, told);
    splice.finish()
}

/// The value of `usage` where the provider said nothing.
pub(super) fn estimated_usage(words: &Words, usage: &Usage, charged: Nanocredits) -> String {
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    let (read, written) = words.tokens;
    let total =
        if words.total { format!(r#""total_tokens":{},"#, input.saturating_add(output)) } else { String::new() };
    format!(
        r#"{{"{read}":{input},"{written}":{output},{total}"estimated":true,"cost":{},"cost_credits":{}}}"#,
        dollars(charged),
        credits(charged)
    )
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
        tokens: ("prompt_tokens", "completion_tokens"),
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
        let json: serde_json::Value =
            serde_json::from_str(&estimated_usage(&WORDS, &usage, Nanocredits::new(1))).unwrap();
        assert_eq!((json["total_tokens"].as_u64(), json["estimated"].as_bool()), (Some(7), Some(true)));
        assert_eq!(json["cost_credits"], "0.000000001");
    }

    #[test]
    fn the_usage_may_lie_deeper() {
        let told = |event: &str| into_event(event, &WORDS, &Usage::default(), "3.36".parse().unwrap());
        let event = r#"{"type":"x", "response":{"id":"a","usage":{"input_tokens": 1}}}"#;
        let expected =
            r#"{"type":"x", "response":{"id":"a","usage":{"cost":0.0336,"cost_credits":"3.36","input_tokens": 1}}}"#;
        assert_eq!(told(event).unwrap(), expected);
        assert!(told(r#"{"response":{"usage":null}}"#).unwrap().contains(r#""usage":{"prompt_tokens":0,"#));
        assert_eq!(told(r#"{"type":"x"}"#), None);
    }
}
