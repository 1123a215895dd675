//! The most that a request can use: what its hold is computed from. Pure; the rules are written where the numbers are.

use schemas::money::Nanocredits;
use schemas::price_book::{Allowances, Model, PriceBook};
use schemas::rate::{Bounds, RateError, ceiling};

use super::ask::{Ask, Limit};
use super::image_tokens;

/// The output limit that is filled in is never lower than this, unless the model cannot write so much.
const LEAST_FILLED: u64 = 4_096;
/// Tokens for which the price of output is looked at: a million, so that its rounding does not matter.
const SAMPLE: u64 = 1_000_000;

/// Everything but the output limit.
pub(super) fn without_output(book: &PriceBook, ask: &Ask<'_>, model: &Model) -> Bounds {
    let images = ask.writes.answers.saturating_mul(ask.writes.images);
    Bounds {
        input_tokens: input_tokens(&book.allowances, ask, model),
        output_tokens: 0,
        images: if model.per_image.is_some() { images } else { 0 },
        searches: searches(model),
    }
}

/// With an output limit for each answer.
pub(super) fn with_output(bounds: Bounds, ask: &Ask<'_>, limit: u64) -> Bounds {
    let each = limit.saturating_add(ask.writes.beside_limit);
    Bounds { output_tokens: each.saturating_mul(ask.writes.answers), ..bounds }
}

/// A tokenizer that works on bytes never makes more tokens than there are bytes, so the bytes of the body are a bound for
/// all its text. Image data is not read as text, and is bounded by what the provider publishes for an image.
fn input_tokens(allowed: &Allowances, ask: &Ask<'_>, model: &Model) -> u64 {
    let reads = &ask.reads;
    let text = text_bytes(ask);
    let tools = if reads.tools > 0 { allowed.tools_tokens + reads.tools * allowed.tool_tokens } else { 0 };
    let structured = if reads.structured { allowed.schema_tokens } else { 0 };
    let images = reads.images * image_tokens::bound(model) + reads.low_images * image_tokens::bound_low(model);
    let hidden = allowed.request_tokens + reads.messages * allowed.message_tokens + reads.hidden_tokens;
    let tokens = text + reads.tokens + hidden + tools + structured + images;
    // A few bytes of a PDF can be thousands of pages: nothing but the context window bounds what is read of it.
    if reads.files > 0 { tokens.max(u64::from(model.context_window.unwrap_or(u32::MAX))) } else { tokens }
}

/// The bytes of the body that may be read as text.
pub(super) fn text_bytes(ask: &Ask<'_>) -> u64 {
    (ask.body.text().len() as u64).saturating_sub(ask.reads.no_text_bytes)
}

/// Models that search by themselves do so once a request; others only with tools that are not sold.
pub(super) fn searches(model: &Model) -> u64 {
    u64::from(model.provider == "perplexity" && model.web_search_per_1k.is_some())
}

/// The most that the request can be charged.
pub(super) fn hold(book: &PriceBook, model: &Model, bounds: &Bounds) -> Nanocredits {
    match ceiling(book, &model.id, bounds) {
        Ok(hold) => hold,
        // More than can be counted is more than anybody has.
        Err(RateError::Money(_) | RateError::UnknownModel | RateError::Inconsistent) => Nanocredits::MAX,
    }
}

/// The output limit for a client that names none: what a quarter of the available credits pays, at least 4,096 tokens,
/// at most what the model can write and what `most` credits pay.
pub(super) fn fill(book: &PriceBook, model: &Model, ask: &Ask<'_>, available: Nanocredits, most: Nanocredits) -> u64 {
    let input = without_output(book, ask, model);
    let paid_by = |credits: Nanocredits| tokens_for(book, model, &input, credits) / ask.writes.answers;
    let quarter = Nanocredits::new(available.get() / 4);
    let model_limit = model.max_output_tokens.map_or(u64::MAX, u64::from);
    paid_by(quarter).max(LEAST_FILLED).min(paid_by(most)).min(model_limit).clamp(1, i32::MAX as u64)
}

/// The output limit that what is available pays for, beside the input; `None` if not even that is paid for, or
/// nothing is written.
pub(super) fn affordable(book: &PriceBook, model: &Model, ask: &Ask<'_>, available: Nanocredits) -> Option<u64> {
    if ask.writes.limit == Limit::None {
        return None;
    }
    let input = without_output(book, ask, model);
    let rest = available.get().checked_sub(hold(book, model, &input).get()).filter(|rest| *rest > 0)?;
    let tokens = tokens_for(book, model, &input, Nanocredits::new(rest)) / ask.writes.answers;
    let limit = tokens.checked_sub(ask.writes.beside_limit).filter(|limit| *limit > 0)?;
    Some(limit.min(model.max_output_tokens.map_or(u64::MAX, u64::from)))
}

/// Output tokens that an amount pays for, at the highest price that this input can bring about.
fn tokens_for(book: &PriceBook, model: &Model, input: &Bounds, credits: Nanocredits) -> u64 {
    let input_only = hold(book, model, input).get();
    let sampled = hold(book, model, &Bounds { output_tokens: SAMPLE, ..*input }).get();
    let sample_price = i128::from(sampled) - i128::from(input_only);
    if sample_price <= 0 {
        // Output is free, or nothing here can be paid at all.
        return u64::MAX;
    }
    let tokens = i128::from(credits.get().max(0)) * i128::from(SAMPLE) / sample_price;
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE};

    use super::*;
    use crate::chat::CHAT;
    use crate::paid::Route;

    fn book() -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap()
    }

    fn body(model: &str, text: &str, fields: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        format!(
            r#"{{"model":"{model}","messages":[{{"role":"user","content":{text}}},{{"role":"user","content":"simulate: prompt_tokens=2000 completion_tokens=1000"}}]{fields}}}"#
        )
    }

    fn credits(text: &str) -> Nanocredits {
        text.parse().unwrap()
    }

    #[test]
    fn the_worked_example_is_held_between_its_price_and_twice_its_input() {
        let book = book();
        let model = &book.models["anthropic/claude-sonnet-4.5"];
        let text = body(&model.id, &"x".repeat(2_000), r#","max_tokens":1000"#);
        let ask = CHAT.read(&text).unwrap();
        let bounds = with_output(without_output(&book, &ask, model), &ask, 1_000);
        let hold = hold(&book, model, &bounds);
        assert!((credits("3.36")..credits("5.44")).contains(&hold), "{hold}");
    }

    #[test]
    fn two_short_messages_are_allowed_little_more_than_their_bytes() {
        let book = book();
        let model = &book.models["openai/gpt-5"];
        let text = body(&model.id, "hi", "");
        let ask = CHAT.read(&text).unwrap();
        assert!(without_output(&book, &ask, model).input_tokens < text.len() as u64 + 500);
    }

    #[test]
    fn image_data_is_bounded_by_the_image_not_by_its_bytes() {
        let book = book();
        let model = &book.models["openai/gpt-4o"];
        let text = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
            "A".repeat(1_000_000)
        );
        let ask = CHAT.read(&text).unwrap();
        assert!(without_output(&book, &ask, model).input_tokens < 5_000);
    }

    #[test]
    fn a_file_may_fill_the_context() {
        let book = book();
        let model = &book.models["anthropic/claude-haiku-4.5"];
        let text = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,A"}}]}]}"#;
        assert_eq!(without_output(&book, &CHAT.read(text).unwrap(), model).input_tokens, 200_000);
    }

    #[test]
    fn a_limit_is_filled_in_by_what_is_there() {
        let book = book();
        let model = &book.models["anthropic/claude-sonnet-4.5"];
        let text = body(&model.id, "hi", "");
        let ask = CHAT.read(&text).unwrap();
        let most = credits("100");
        // 2.4 credits a thousand tokens.
        assert_eq!(fill(&book, model, &ask, credits("100"), most), 10_416);
        assert_eq!(fill(&book, model, &ask, credits("1"), most), 4_096);
        assert_eq!(fill(&book, model, &ask, credits("1000"), most), 41_666);
        let model = &book.models["openai/gpt-5-mini"];
        assert_eq!(fill(&book, model, &ask, credits("100000"), credits("100000")), 128_000);
    }

    proptest! {
        #[test]
        fn what_is_affordable_is_affordable_and_no_less(available in 0_i64..200_000_000_000, n in 1_u64..4, pick: prop::sample::Index) {
            let book = book();
            let models: Vec<&Model> = book.models.values().filter(|model| model.prices.output.is_some()).collect();
            let model = *pick.get(&models);
            let text = body(&model.id, "hello", &format!(r#","n":{n}"#));
            let ask = CHAT.read(&text).unwrap();
            let available = Nanocredits::new(available);
            let held = |limit| hold(&book, model, &with_output(without_output(&book, &ask, model), &ask, limit));
            match affordable(&book, model, &ask, available) {
                Some(limit) => {
                    prop_assert!(held(limit) <= available);
                    let most = model.max_output_tokens.map_or(u64::MAX, u64::from);
                    prop_assert!(limit >= most || held(limit + 2) > available);
                }
                None => prop_assert!(held(2) > available),
            }
        }
    }
}
