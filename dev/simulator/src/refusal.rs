//! Errors in the provider's shape.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// An error answer.
#[derive(Debug)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`.
    pub code: &'static str,
    /// For people.
    pub message: String,
    /// `error.param`.
    pub param: serde_json::Value,
    /// Seconds for the header `retry-after`.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// An error with the type that the provider uses with this status.
    pub fn with_status(status: u16, message: impl Into<String>) -> Self {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            402 => "insufficient_funds",
            403 => "forbidden",
            404 => "not_found",
            424 => "failed_dependency",
            429 => "rate_limit_exceeded",
            500 | 503 => "internal_server_error",
            _ => "AI_APICallError",
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, kind, code: kind, message: message.into(), param: serde_json::Value::Null, retry_after: None }
    }

    /// A model that is not known.
    pub fn model_not_found(model: &str) -> Self {
        let param = serde_json::json!({ "modelId": model });
        Self {
            kind: "model_not_found",
            code: "model_not_found",
            param,
            ..Self::with_status(404, format!("Model '{model}' not found"))
        }
    }

    /// A prompt that does not fit.
    pub fn context_length(window: u64, tokens: u64) -> Self {
        let message = format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens. \
             Please reduce the length of the messages."
        );
        Self { code: "context_length_exceeded", param: "messages".into(), ..Self::with_status(400, message) }
    }

    /// The body.
    pub fn body(&self) -> String {
        serde_json::json!({
            "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code }
        })
        .to_string()
    }
}

impl axum::response::IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
