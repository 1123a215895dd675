//! What a client asks, and what the simulator is to do.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

/// $3 and $15 a million tokens.
pub const MODEL: &str = "anthropic/claude-sonnet-4.5";
/// Where nobody counts, a token is four bytes: the gateway's estimate, and what the simulator is told to bill for a prompt
/// that may end in one.
const BYTES_A_TOKEN: usize = 4;

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Chunk by chunk.
    pub streamed: bool,
    /// Billed for the prompt.
    pub prompt_tokens: u64,
    /// Wished for the answer.
    pub completion_tokens: u64,
    /// The limit of the answer.
    pub max_tokens: u64,
    /// More wishes to the simulator: `latency_ms=20 chunks=4`.
    pub wishes: String,
    /// When the client goes, if it does not wait for the end.
    pub leaves: Option<Leaves>,
}

/// When a client goes away in the midst of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaves {
    /// After so many events of a stream.
    AfterEvents(usize),
    /// After this long, answered or not.
    After(Duration),
}

impl Ask {
    /// A whole answer to 100 tokens with as many, after so many milliseconds.
    pub fn whole(latency_ms: u64) -> Self {
        let wishes = format!("latency_ms={latency_ms}");
        Self { streamed: false, prompt_tokens: 100, completion_tokens: 100, max_tokens: 100, wishes, leaves: None }
    }

    /// The same in eight chunks over so many milliseconds.
    pub fn streamed(duration_ms: u64) -> Self {
        let wishes = format!("chunks=8 chunk_ms={}", duration_ms / 8);
        Self { streamed: true, wishes, ..Self::whole(0) }
    }

    /// So many, whole and streamed in turn, each over so many milliseconds.
    pub fn both(count: usize, milliseconds: u64) -> Vec<Self> {
        let one = |n| if n % 2 == 0 { Self::whole(milliseconds) } else { Self::streamed(milliseconds) };
        (0..count).map(one).collect()
    }

    /// With other figures, so that no two requests need cost the same.
    #[must_use]
    pub fn with_tokens(self, prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { prompt_tokens, completion_tokens, ..self }
    }

    /// With more wishes.
    #[must_use]
    pub fn wishing(mut self, wishes: &str) -> Self {
        self.wishes = format!("{} {wishes}", self.wishes);
        self
    }

    /// With a client that goes.
    #[must_use]
    pub fn leaving(self, leaves: Leaves) -> Self {
        Self { leaves: Some(leaves), ..self }
    }

    /// The provider bills for the prompt what the gateway estimates where the provider's word does not come. So an
    /// estimate can be held against the bill.
    #[must_use]
    pub fn with_prompt_as_estimated(self) -> Self {
        let unpadded = Self { prompt_tokens: 0, ..self };
        let prompt_tokens = unpadded.body().len().div_ceil(BYTES_A_TOKEN) as u64;
        Self { prompt_tokens, ..unpadded }
    }

    /// What is sent. Its length does not depend on the prompt's tokens, as long as these are no more than its bytes.
    pub fn body(&self) -> Bytes {
        let Self { streamed, prompt_tokens, completion_tokens, max_tokens, wishes, .. } = self;
        let mut wishes =
            format!("simulate: prompt_tokens={prompt_tokens:05} completion_tokens={completion_tokens} {wishes}");
        // No prompt has more tokens than bytes.
        let length = usize::try_from(*prompt_tokens).unwrap_or_default();
        if wishes.len() < length {
            wishes = format!("{}{wishes}", "x".repeat(length - wishes.len()));
        }
        let mut body = json!({ "model": MODEL, "max_tokens": max_tokens, "stream": streamed,
            "messages": [{ "role": "user", "content": wishes }] });
        if *streamed {
            body["stream_options"] = json!({ "include_usage": true });
        }
        Bytes::from(body.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_as_estimated_keeps_its_length() {
        for ask in [Ask::whole(1), Ask::streamed(80).wishing("cut_after=3").with_tokens(9_999, 7)] {
            let estimated = ask.clone().with_prompt_as_estimated();
            assert_eq!(estimated.body().len().div_ceil(4) as u64, estimated.prompt_tokens, "{estimated:?}");
        }
    }
}
