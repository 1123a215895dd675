//! What was used, where the provider's word never came: counted from what was sent and what was delivered. Pure, and
//! never more than the bounds of the hold.

use schemas::rate::{Bounds, Usage};

/// English and code are about four bytes a token at all current tokenizers; where it is wrong, it is wrong in favour of
/// the customer for dense scripts, and by little otherwise.
const BYTES_A_TOKEN: u64 = 4;
/// An ordinary picture at the providers that count by size.
const IMAGE_TOKENS: u64 = 1_000;

/// What the model has read and written, as far as we saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Text sent to the model, bytes.
    pub sent_bytes: u64,
    /// Tokens sent to the model as such.
    pub sent_tokens: u64,
    /// Images sent to the model.
    pub sent_images: u64,
    /// Text that came back, reasoning and arguments of tool calls among it, bytes.
    pub text_bytes: u64,
    /// Images that came back.
    pub images: u64,
    /// Web searches.
    pub searches: u64,
}

/// The usage that this amounts to.
pub fn usage(seen: &Seen, bounds: &Bounds) -> Usage {
    let text = seen.sent_bytes.div_ceil(BYTES_A_TOKEN).saturating_add(seen.sent_tokens);
    let input = text.saturating_add(seen.sent_images.saturating_mul(IMAGE_TOKENS));
    Usage {
        input_tokens: input.min(bounds.input_tokens),
        output_tokens: seen.text_bytes.div_ceil(BYTES_A_TOKEN).min(bounds.output_tokens),
        images: seen.images.min(bounds.images),
        searches: seen.searches.min(bounds.searches),
        ..Usage::default()
    }
}

/// The same usage, but none of its parts beyond the bounds.
pub fn within(usage: &Usage, bounds: &Bounds) -> Usage {
    Usage {
        input_tokens: usage.input_tokens.min(bounds.input_tokens),
        output_tokens: usage.output_tokens.min(bounds.output_tokens),
        images: usage.images.min(bounds.images),
        searches: usage.searches.min(bounds.searches),
        ..*usage
    }
    .consistent()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_started_token_is_a_token() {
        let bounds = Bounds { input_tokens: 1_000, output_tokens: 10, images: 0, searches: 0 };
        let seen = Seen { sent_bytes: 9, text_bytes: 41, images: 3, ..Seen::default() };
        let estimated = usage(&seen, &bounds);
        assert_eq!((estimated.input_tokens, estimated.output_tokens, estimated.images), (3, 10, 0));
    }

    proptest! {
        #[test]
        fn never_beyond_the_bounds(sent: u64, images: u64, text: u64, input in 0_u64..1000, output in 0_u64..1000) {
            let bounds = Bounds { input_tokens: input, output_tokens: output, images: 1, searches: 0 };
            let seen = Seen { sent_bytes: sent, sent_tokens: images, sent_images: images, text_bytes: text, images, searches: images };
            let usage = usage(&seen, &bounds);
            prop_assert!(usage.input_tokens <= input && usage.output_tokens <= output && usage.images <= 1);
            prop_assert_eq!(within(&usage, &bounds), usage);
        }
    }
}
