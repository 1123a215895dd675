//! What a request asks for, whichever form it came in.

/// A request, as far as the simulator looks at it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Asked model.
    pub model: String,
    /// Text of the last message of the user, which may tell what to simulate.
    pub told: String,
    /// About the tokens of the prompt, never more than its bytes.
    pub prompt_tokens: u64,
    /// Answers wanted.
    pub n: u64,
    /// The most tokens that one of them may have.
    pub limit: Option<u64>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether a stream carries a usage chunk of its own.
    pub include_usage: bool,
    /// Images wanted.
    pub images: u64,
    /// Numbers of each vector wanted.
    pub dimensions: Option<u64>,
    /// The texts of which vectors are wanted.
    pub texts: Vec<String>,
    /// Whether vectors are wanted as text.
    pub base64: bool,
    /// Name of the first tool that may be called.
    pub tool: Option<String>,
}

/// Tokens of so many bytes.
pub fn tokens(bytes: usize) -> u64 {
    u64::try_from(bytes.div_ceil(4)).unwrap_or(u64::MAX)
}

/// A small image is 85 tokens at many providers, four bytes each.
pub const IMAGE_BYTES: usize = 85 * 4;
