use schemars::JsonSchema;
use serde::Serialize;

/// What is wrong.
#[derive(JsonSchema, Serialize)]
pub(crate) struct ErrorBody {
    error: ErrorMembers,
}

/// OpenAI's four members; 402s have the others.
#[derive(JsonSchema, Serialize)]
struct ErrorMembers {
    /// For people.
    message: String,
    /// The class.
    r#type: String,
    /// The field that it is about.
    param: Option<String>,
    /// For programs: one of the list in docs/api.md, or the provider's own where it refused the request.
    code: Option<String>,
    /// What the request can cost at most, credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_needed: Option<String>,
    /// What can be spent, credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_available: Option<String>,
    /// What is set aside for requests that run, credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    credits_held: Option<String>,
    /// The output limit that what is available pays for.
    #[serde(skip_serializing_if = "Option::is_none")]
    affordable_max_tokens: Option<u64>,
}
