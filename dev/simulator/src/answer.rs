//! Decides what is answered: pure, from the request, its directive and the model.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::asked::Asked;
use crate::catalog::{Kind, Model};
use crate::directive::Directive;
use crate::usage::Usage;

/// Said when nothing else is asked for: 64 bytes, 16 tokens.
const SENTENCE: &str = "The simulator heard you: all is well, and each token is counted.";
/// Chunks of a stream when nothing else is asked for.
const CHUNKS: u64 = 8;
/// The most text that is sent for many tokens: long enough to be real, short enough to be quick.
const TEXT_BYTES: u64 = 256 * 1024;
/// As many bytes of text as a token has on average.
const BYTES_PER_TOKEN: u64 = 4;
/// What a called tool is given, as a JSON string's content.
pub const ARGUMENTS: &str = r#"{\"text\":\"simulated\"}"#;

static TEXT: LazyLock<String> = LazyLock::new(|| {
    let times = usize::try_from(TEXT_BYTES).unwrap_or_default() / SENTENCE.len();
    SENTENCE.repeat(times)
});

/// Everything that an answer says.
#[derive(Debug)]
pub struct Answer {
    /// `gen_…`.
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Model that answers.
    pub model: String,
    /// Who serves it.
    pub provider: String,
    /// What it uses in full.
    pub usage: Usage,
    /// What that costs.
    pub cost_picodollars: u64,
    /// Choices.
    pub n: u64,
    /// Content chunks of a stream, over all choices.
    pub chunks: u64,
    /// Bytes of text of each choice.
    pub text_bytes: usize,
    /// `stop`, `length` or `tool_calls`.
    pub finish_reason: &'static str,
    /// Name of the tool that is called.
    pub tool: Option<String>,
    /// What was asked.
    pub asked: Asked,
    /// What else is wished.
    pub directive: Directive,
}

impl Answer {
    /// The answer to a request.
    pub fn new(asked: &Asked, directive: Directive, model: &Model) -> Self {
        let n = asked.n;
        let sentence = u64::try_from(SENTENCE.len()).unwrap_or_default() / BYTES_PER_TOKEN;
        let wished = directive.completion_tokens.unwrap_or(sentence * n);
        let limit = asked.limit.filter(|_| !directive.ignore_max).map(|limit| limit.saturating_mul(n));
        let completion_tokens = limit.map_or(wished, |limit| wished.min(limit));
        let tool = asked.tool.clone().filter(|_| directive.tool_call);
        // Only language models write, and what makes images alone reads nothing that is counted.
        let completion_tokens = if model.kind == Kind::Language { completion_tokens } else { 0 };
        let prompt_tokens = directive.prompt_tokens.unwrap_or(asked.prompt_tokens);
        let usage = Usage {
            prompt_tokens: if model.kind == Kind::Image { 0 } else { prompt_tokens },
            cached_tokens: directive.cached_tokens,
            cache_write_tokens: directive.cache_write_tokens,
            completion_tokens,
            reasoning_tokens: directive.reasoning_tokens.min(completion_tokens),
            images: if model.makes_images { directive.images.unwrap_or(asked.images) } else { 0 },
        };
        let text_tokens = (completion_tokens - usage.reasoning_tokens) / n;
        let text_bytes = text_tokens.saturating_mul(BYTES_PER_TOKEN).min(TEXT_BYTES);
        Self {
            id: generation_id(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            model: model.id.clone(),
            provider: model.provider.clone(),
            usage,
            cost_picodollars: model.cost_picodollars(&usage),
            n,
            chunks: directive.chunks.unwrap_or(CHUNKS).max(n),
            text_bytes: usize::try_from(text_bytes).unwrap_or_default(),
            finish_reason: match tool {
                Some(_) => "tool_calls",
                None if model.kind == Kind::Language && completion_tokens < wished => "length",
                None => "stop",
            },
            tool,
            asked: asked.clone(),
            directive,
        }
    }

    /// The text of one choice.
    pub fn text(&self) -> &'static str {
        let text: &'static str = &TEXT;
        &text[..self.text_bytes.min(text.len())]
    }

    /// So much of its usage as is due after `delivered` of its chunks.
    pub fn usage_after(&self, delivered: u64) -> Usage {
        self.usage.share(delivered, self.chunks)
    }

    /// Piece `index` of `count` pieces of a text of one-byte characters.
    pub fn piece(text: &str, index: u64, count: u64) -> &str {
        let at = |index: u64| {
            let length = u64::try_from(text.len()).unwrap_or_default();
            usize::try_from((length * index).checked_div(count).unwrap_or(0)).unwrap_or_default()
        };
        &text[at(index)..at(index + 1)]
    }

    /// The provider's own notes on the call, as JSON.
    pub fn provider_metadata(&self) -> String {
        let Self { id, model, provider, .. } = self;
        let cost = crate::usage::dollars(self.cost_picodollars.into());
        format!(
            r#"{{"gateway":{{"routing":{{"originalModelId":"{model}","resolvedProvider":"{provider}","finalProvider":"{provider}","fallbacksAvailable":[],"modelAttempts":[]}},"cost":"{cost}","marketCost":"{cost}","surchargeCost":"0","gatewayCost":"{cost}","generationId":"{id}"}}}}"#
        )
    }
}

/// A picture of one transparent pixel, in base64.
pub const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Half of the arguments at the most that a piece can end with: an escape is never split.
pub fn arguments_piece(index: u64, count: u64) -> &'static str {
    let half = ARGUMENTS.find(':').map_or(0, |at| at + 1);
    match (index, count) {
        (0, 1) => ARGUMENTS,
        (0, _) => &ARGUMENTS[..half],
        (1, _) => &ARGUMENTS[half..],
        _ => "",
    }
}

/// `gen_` and 26 digits to the base 32 that grow with time, as the provider's do.
fn generation_id() -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    static LIFE: LazyLock<u64> = LazyLock::new(now_ms);
    let time = u128::from(now_ms()) << 80;
    let number = (u128::from(*LIFE) << 40) & ((1 << 80) - 1);
    let mut value = time | number | u128::from(COUNTER.fetch_add(1, Ordering::Relaxed) & ((1 << 40) - 1));
    let mut id = *b"gen_00000000000000000000000000";
    for digit in id[4..].iter_mut().rev() {
        *digit = DIGITS[usize::try_from(value & 31).unwrap_or_default()];
        value >>= 5;
    }
    id.iter().map(|byte| char::from(*byte)).collect()
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    fn answer(n: u64, limit: Option<u64>, directive: &str) -> Result<Answer, Box<dyn std::error::Error>> {
        let asked = Asked { n, limit, ..Asked::default() };
        let catalog = Catalog::load()?;
        let model = catalog.find("openai/gpt-4o-mini").ok_or("no model")?;
        Ok(Answer::new(&asked, Directive::in_text(directive)?, catalog.model(model)))
    }

    #[test]
    fn the_limit_counts_for_each_choice() -> Result<(), Box<dyn std::error::Error>> {
        let wish = "simulate: completion_tokens=1000";
        assert_eq!(answer(1, None, wish)?.usage.completion_tokens, 1000);
        let limited = answer(3, Some(10), wish)?;
        assert_eq!((limited.usage.completion_tokens, limited.finish_reason), (30, "length"));
        let ignored = answer(1, Some(10), "simulate: completion_tokens=1000 ignore_max=1")?;
        assert_eq!((ignored.usage.completion_tokens, ignored.finish_reason), (1000, "stop"));
        Ok(())
    }

    #[test]
    fn without_a_wish_a_sentence_is_said() -> Result<(), Box<dyn std::error::Error>> {
        let plain = answer(1, None, "")?;
        assert_eq!((plain.text(), plain.usage.completion_tokens), (SENTENCE, 16));
        Ok(())
    }

    #[test]
    fn pieces_make_the_whole() {
        let whole: String = (0..7).map(|index| Answer::piece(SENTENCE, index, 7)).collect();
        assert_eq!(whole, SENTENCE);
    }

    #[test]
    fn generation_ids_differ_and_have_the_right_length() {
        let (one, other) = (generation_id(), generation_id());
        assert_ne!(one, other);
        assert_eq!(one.len(), 30);
    }
}
