use axum::http::StatusCode;
use schemas::ids::RequestId;
use serde_json::json;

use super::Face;

/// Whose clients are spoken to: how an error looks as a body, and in the midst of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's clients.
    OpenAi,
    /// OpenAI's clients that hear a stream of typed events.
    OpenAiEvents,
    /// Anthropic's clients.
    Anthropic,
}

impl Dialect {
    /// Whose clients ask for this path.
    pub fn of_path(path: &str) -> Self {
        let path = path.strip_prefix("/v1").unwrap_or(path);
        if path == "/messages" || path.starts_with("/messages/") { Self::Anthropic } else { Self::OpenAi }
    }

    /// The body of an error answer.
    pub fn body(self, face: &Face, request_id: &RequestId) -> String {
        match self {
            Self::OpenAi | Self::OpenAiEvents => face.body(),
            Self::Anthropic => {
                let mut error = face.error();
                error["type"] = anthropic_type(face).into();
                json!({ "type": "error", "error": error, "request_id": request_id.to_string() }).to_string()
            }
        }
    }

    /// An event that ends a stream with an error, after so many events with data. SDKs make exceptions of it; none of them
    /// takes a stream that ends without an error for broken.
    pub fn stream_error(self, face: &Face, request_id: &RequestId, events: u64) -> String {
        match self {
            Self::OpenAi => format!("data: {}\n\n", face.body()),
            Self::OpenAiEvents => {
                // The documented event, and `error` in it, without which SDKs would not raise.
                let event = json!({
                    "type": "error",
                    "sequence_number": events,
                    "code": face.code,
                    "message": face.message,
                    "param": face.param,
                    "error": face.error(),
                });
                format!("event: error\ndata: {event}\n\n")
            }
            Self::Anthropic => format!("event: error\ndata: {}\n\n", self.body(face, request_id)),
        }
    }
}

/// Anthropic's names for what a status says.
fn anthropic_type(face: &Face) -> &'static str {
    match face.status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::PAYMENT_REQUIRED => "billing_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        StatusCode::FAILED_DEPENDENCY => "api_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use uuid::Uuid;

    use super::*;
    use crate::error::Error;

    fn id() -> RequestId {
        RequestId(Uuid::nil())
    }

    #[test]
    fn paths_say_whose_clients_ask() {
        for path in ["/v1/messages", "/messages", "/v1/messages/count_tokens"] {
            assert_eq!(Dialect::of_path(path), Dialect::Anthropic, "{path}");
        }
        for path in ["/v1/chat/completions", "/v1/messagesx", "/"] {
            assert_eq!(Dialect::of_path(path), Dialect::OpenAi, "{path}");
        }
    }

    #[test]
    fn anthropics_errors_have_anthropics_form() {
        let body: Value = serde_json::from_str(&Dialect::Anthropic.body(&Error::NoKey.face(), &id())).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"authentication_error".into()));
        assert!(
            body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()) && body["request_id"].is_string()
        );
    }

    #[test]
    fn an_error_in_a_stream_of_typed_events_is_typed_and_raised() {
        let event = Dialect::OpenAiEvents.stream_error(&Error::Internal.face(), &id(), 7);
        let data = event.strip_prefix("event: error\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["type"], &data["sequence_number"]), (&"error".into(), &7.into()));
        assert_eq!((&data["message"], &data["error"]["type"]), (&data["error"]["message"], &"server_error".into()));
    }
}
