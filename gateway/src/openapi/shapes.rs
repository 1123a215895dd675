//! Bodies that are read member by member and forwarded: described as far as they are checked. What is not named here is
//! forwarded as it is, or refused where it could change the price; `null` is as good as absent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A chat completion, as OpenAI describes it.
#[derive(JsonSchema)]
#[schemars(extend("dependentSchemas" = {
    "stream_options": { "properties": { "stream": { "const": true } }, "required": ["stream"] },
    "top_logprobs": { "properties": { "logprobs": { "const": true } }, "required": ["logprobs"] },
}))]
pub(crate) struct ChatRequest {
    /// An id of `GET /v1/models`, or another name of it.
    #[schemars(length(min = 1))]
    model: String,
    /// Models that may answer where that one fails before its first byte, in this order; held for the dearest of all.
    #[schemars(length(min = 1, max = 8))]
    models: Option<Vec<String>>,
    /// The history.
    #[schemars(length(min = 1))]
    messages: Vec<ChatMessage>,
    /// Chunk by chunk, as server-sent events.
    stream: Option<bool>,
    /// Only with `stream`.
    stream_options: Option<StreamOptions>,
    /// The output limit; where none is named, one is filled in.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    max_completion_tokens: Option<u64>,
    /// The same by its older name.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    max_tokens: Option<u64>,
    /// How many answers.
    #[schemars(range(min = 1, max = 128))]
    n: Option<u64>,
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    #[schemars(range(min = 0, max = 1))]
    top_p: Option<f64>,
    #[schemars(range(min = -2, max = 2))]
    frequency_penalty: Option<f64>,
    #[schemars(range(min = -2, max = 2))]
    presence_penalty: Option<f64>,
    logprobs: Option<bool>,
    /// Only with `logprobs`.
    #[schemars(range(min = 0, max = 20))]
    top_logprobs: Option<u64>,
    /// Functions that the client runs, and custom tools.
    #[schemars(length(min = 1))]
    tools: Option<Vec<ChatTool>>,
    response_format: Option<ResponseFormat>,
    reasoning_effort: Option<Effort>,
    verbosity: Option<Verbosity>,
    /// Sixteen pairs at most, names of 64 characters and values of 512.
    #[schemars(extend("maxProperties" = 16))]
    metadata: Option<BTreeMap<String, String>>,
    /// Only the standard tier is sold.
    service_tier: Option<Tier>,
}

/// A message; results of tools come after the calls that they belong to.
#[derive(JsonSchema)]
struct ChatMessage {
    role: Role,
    content: Option<ChatContent>,
    /// What the assistant called.
    #[schemars(length(min = 1))]
    tool_calls: Option<Vec<Map<String, Value>>>,
    /// Which call a message of role `tool` is the result of.
    tool_call_id: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum ChatContent {
    Text(String),
    Parts(Vec<ChatPart>),
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ChatPart {
    Text { text: String },
    ImageUrl { image_url: ImageUrl },
    File { file: File },
    Refusal { refusal: String },
}

#[derive(JsonSchema)]
struct ImageUrl {
    /// `https://…`, or `data:image/…;base64,…`.
    #[schemars(regex(pattern = "^(https?://|data:image/)"))]
    url: String,
    detail: Option<String>,
}

#[derive(JsonSchema)]
struct File {
    /// `data:…;base64,…`
    file_data: String,
    filename: Option<String>,
}

#[derive(JsonSchema)]
struct StreamOptions {
    /// One more chunk before the last, with the usage and what it cost.
    include_usage: Option<bool>,
    include_obfuscation: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ChatTool {
    Function { function: Named },
    Custom { custom: Named },
}

#[derive(JsonSchema)]
struct Named {
    name: String,
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    /// The messages say \"json\" somewhere.
    JsonObject,
    JsonSchema {
        json_schema: Named,
    },
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verbosity {
    Low,
    Medium,
    High,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Tier {
    Auto,
    Default,
}

/// A response, as OpenAI describes it.
#[derive(JsonSchema)]
pub(crate) struct ResponsesRequest {
    /// An id of `GET /v1/models`, or another name of it.
    #[schemars(length(min = 1))]
    model: String,
    /// Models that may answer where that one fails before its first byte, in this order; held for the dearest of all.
    #[schemars(length(min = 1, max = 8))]
    models: Option<Vec<String>>,
    input: ResponsesInput,
    instructions: Option<String>,
    /// Chunk by chunk, as server-sent events.
    stream: Option<bool>,
    /// The output limit; where none is named, one is filled in.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    max_output_tokens: Option<u64>,
    /// Functions that the client runs, and custom tools.
    tools: Option<Vec<ResponsesTool>>,
    /// Only the standard tier is sold.
    service_tier: Option<Tier>,
}

/// A text, or a list of items: messages, calls of tools and their results.
#[derive(JsonSchema)]
#[serde(untagged)]
enum ResponsesInput {
    Text(String),
    Items(#[schemars(length(min = 1))] Vec<ResponsesItem>),
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponsesItem {
    Message { role: ResponsesRole, content: ResponsesContent },
    FunctionCall { call_id: String, name: String, arguments: String },
    FunctionCallOutput { call_id: String, output: ResponsesContent },
    Reasoning { summary: Vec<Map<String, Value>> },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ResponsesRole {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum ResponsesContent {
    Text(String),
    Parts(Vec<ResponsesPart>),
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponsesPart {
    InputText {
        text: String,
    },
    OutputText {
        text: String,
    },
    InputImage {
        #[schemars(regex(pattern = "^(https?://|data:image/)"))]
        image_url: String,
        detail: Option<String>,
    },
    InputFile {
        file_data: String,
    },
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponsesTool {
    Function { name: String },
    Custom { name: String },
}

/// Embeddings, as OpenAI describes them.
#[derive(JsonSchema)]
pub(crate) struct EmbeddingsRequest {
    /// An id of `GET /v1/models`, of kind `embedding`.
    #[schemars(length(min = 1))]
    model: String,
    input: EmbeddingsInput,
    encoding_format: Option<Encoding>,
    #[schemars(range(min = 1, max = 65_536))]
    dimensions: Option<u64>,
}

/// A text, texts, a text's tokens, or texts' tokens.
#[derive(JsonSchema)]
#[serde(untagged)]
enum EmbeddingsInput {
    Text(#[schemars(length(min = 1))] String),
    Texts(#[schemars(length(min = 1, max = 2_048), inner(length(min = 1)))] Vec<String>),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    ManyTokens(#[schemars(length(min = 1, max = 2_048), inner(length(min = 1)))] Vec<Vec<u32>>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Float,
    Base64,
}

/// Images, as OpenAI describes them.
#[derive(JsonSchema)]
pub(crate) struct ImagesRequest {
    /// An id of `GET /v1/models`, of kind `image`.
    #[schemars(length(min = 1))]
    model: String,
    /// What is to be seen.
    #[schemars(length(min = 1, max = 10_000))]
    prompt: String,
    /// How many.
    #[schemars(range(min = 1, max = 4))]
    n: Option<u32>,
    /// `auto`, or width and height as `1024x1024`: no more pixels than the price pays for.
    #[schemars(regex(pattern = "^(auto|[1-9][0-9]*x[1-9][0-9]*)$"))]
    size: Option<String>,
    quality: Option<Quality>,
    response_format: Option<ImageFormat>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Quality {
    Auto,
    Low,
    Medium,
    Standard,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ImageFormat {
    Url,
    B64Json,
}

/// A message, as Anthropic describes it.
#[derive(JsonSchema)]
pub(crate) struct MessagesRequest {
    /// An id of `GET /v1/models`, or another name of it.
    #[schemars(length(min = 1))]
    model: String,
    /// The output limit. Anthropic demands one; where none is named here, one is filled in.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    max_tokens: Option<u64>,
    #[schemars(length(min = 1))]
    messages: Vec<Turn>,
    system: Option<TurnContent>,
    /// As server-sent events.
    stream: Option<bool>,
    service_tier: Option<MessagesTier>,
}

#[derive(JsonSchema)]
struct Turn {
    role: TurnRole,
    content: TurnContent,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TurnRole {
    User,
    Assistant,
    System,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum TurnContent {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text { text: String },
    Image { source: Source },
    ToolUse { id: String, name: String, input: Map<String, Value> },
    ToolResult { tool_use_id: String, content: String },
}

#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source {
    Base64 {
        media_type: String,
        data: String,
    },
    Url {
        #[schemars(regex(pattern = "^https?://"))]
        url: String,
    },
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MessagesTier {
    Auto,
    StandardOnly,
}
