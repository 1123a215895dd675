//! Tells the customer what an answer cost: `usage.cost`, US$, a number; `usage.cost_credits`, a decimal string.

use schemas::money::{Nanocredits, Picodollars};
use schemas::rate::Usage;

use crate::splice::{Object, Splice};

/// The value of `usage` with the cost in it; `None` if it is no object.
fn into_usage(usage: &str, charged: Nanocredits) -> Option<String> {
    let object = Object::parse(usage).ok()?;
    let mut splice = Splice::new(&object);
    splice.set("cost", dollars(charged));
    splice.set("cost_credits", credits(charged));
    Some(splice.finish().unwrap_or_else(|| usage.to_owned()))
}

/// An answer or chunk whose `usage` tells the cost; `None` if it has no usage to tell it in.
pub(super) fn into_answer(answer: &str, charged: Nanocredits) -> Option<String> {
    let object = Object::parse(answer).ok()?;
    let usage = into_usage(object.get("usage")?, charged)?;
    let mut splice = Splice::new(&object);
    splice.set("usage", usage);
    splice.finish()
}

/// A whole answer that tells the cost, in an estimated usage where the provider sent none.
pub(super) fn into_whole(answer: &str, usage: &Usage, charged: Nanocredits) -> Option<String> {
    let object = Object::parse(answer).ok()?;
    let told = object.get("usage").and_then(|told| into_usage(told, charged));
    let mut splice = Splice::new(&object);
    splice.set("usage", told.unwrap_or_else(|| estimated_usage(usage, charged)));
    splice.finish()
}

/// The value of `usage` where the provider said nothing.
pub(super) fn estimated_usage(usage: &Usage, charged: Nanocredits) -> String {
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{},"estimated":true,"cost":{},"cost_credits":{}}}"#,
        input + output,
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

    #[test]
    fn the_providers_price_gives_way_to_the_customers() {
        let usage = r#"{"prompt_tokens": 2000,"cost":0.021,"completion_tokens": 1000}"#;
        let expected = r#"{"cost_credits":"3.36","prompt_tokens": 2000,"cost":0.0336,"completion_tokens": 1000}"#;
        assert_eq!(into_usage(usage, "3.36".parse().unwrap()).unwrap(), expected);
    }

    #[test]
    fn an_estimate_says_that_it_is_one() {
        let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        let json: serde_json::Value = serde_json::from_str(&estimated_usage(&usage, Nanocredits::new(1))).unwrap();
        assert_eq!((json["total_tokens"].as_u64(), json["estimated"].as_bool()), (Some(7), Some(true)));
        assert_eq!(json["cost_credits"], "0.000000001");
    }
}
