//! Bodies that are read field by field, or forwarded as they are: described as far as a client has to know.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// A chat completion, as OpenAI describes it. What is not named here is forwarded, or refused where it could change the price.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ChatRequest {
    /// An id of `GET /v1/models`.
    model: String,
    /// Models that may answer where that one fails before its first byte, in this order; held for the dearest of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    models: Option<Vec<String>>,
    /// At least one, each with a `role`.
    #[schemars(length(min = 1))]
    messages: Vec<Map<String, Value>>,
    /// Chunk by chunk, as server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    /// The output limit; where none is named, one is filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    max_completion_tokens: Option<u64>,
}

/// A response, as OpenAI describes it; the same holds.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ResponsesRequest {
    /// An id of `GET /v1/models`.
    model: String,
    /// Models that may answer where that one fails before its first byte, in this order; held for the dearest of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    models: Option<Vec<String>>,
    /// A text, or a list of items.
    input: Value,
    /// Chunk by chunk, as server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    /// The output limit; where none is named, one is filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    max_output_tokens: Option<u64>,
}

/// Embeddings, as OpenAI describes them; the same holds.
#[derive(JsonSchema, Serialize)]
pub(crate) struct EmbeddingsRequest {
    /// An id of `GET /v1/models`, of kind `embedding`.
    model: String,
    /// A text, a list of texts, or tokens.
    input: Value,
    /// `float` or `base64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<String>,
}

/// Images, as OpenAI describes them; the same holds.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ImagesRequest {
    /// An id of `GET /v1/models`, of kind `image`.
    model: String,
    /// What is to be seen.
    prompt: String,
    /// How many.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    n: Option<u32>,
}

/// A message, as Anthropic describes it; the same holds.
#[derive(JsonSchema, Serialize)]
pub(crate) struct MessagesRequest {
    /// An id of `GET /v1/models`.
    model: String,
    /// The output limit.
    #[schemars(range(min = 1))]
    max_tokens: u64,
    /// At least one, each with a `role`.
    #[schemars(length(min = 1))]
    messages: Vec<Map<String, Value>>,
    /// As server-sent events.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

/// What is wrong.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ErrorBody {
    error: ErrorMembers,
}

/// OpenAI's four members; 402s have more.
#[derive(JsonSchema, Serialize)]
struct ErrorMembers {
    /// For people.
    message: String,
    /// The class.
    r#type: String,
    /// The field that it is about.
    param: Option<String>,
    /// For programs.
    code: Option<String>,
}
