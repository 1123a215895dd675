//! What went wrong at the provider, and whose business it is.

use axum::http::StatusCode;
use schemas::event::UsageErrorCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Connection;

/// The longest text of a provider that is passed on, in characters.
const MESSAGE_LIMIT: usize = 1_000;
/// What a client is told to wait where the provider is busy and does not say how long, seconds.
const BUSY_SECONDS: u64 = 5;

/// Why there is no answer, or no whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or a connection lost before anything came.
    Unreachable,
    /// Silent for too long.
    Timeout,
    /// Broke off in the middle.
    Cut,
    /// More than we can take.
    TooLarge,
    /// Not JSON, or not the JSON of an answer.
    Malformed,
    /// Our own request could not be built.
    Unsendable,
    /// Too busy: worth another try after so many seconds.
    Busy {
        /// At most 60.
        retry_after: u64,
    },
    /// It limits us: worth another try after so many seconds.
    Limited {
        /// At most 60.
        retry_after: u64,
    },
    /// It does not take our key, or our balance there is used up: the operator's business, and an alarm.
    Denied {
        /// 401, 402 or 403.
        status: u16,
    },
    /// Failed inside: our business, not the client's.
    Broken {
        /// What it answered, for the log.
        status: u16,
    },
    /// An error inside an answer that had begun.
    Said {
        /// Its own words, if they can be shown.
        message: Option<String>,
    },
    /// The client asked for something that the provider refuses.
    Refused {
        /// The provider's words.
        message: String,
        /// The provider's name for it.
        code: Option<String>,
        /// The field that it is about.
        param: Option<String>,
    },
}

impl Failure {
    pub(super) fn sending(error: &hyper_util::client::legacy::Error) -> Self {
        tracing::warn!(error = ?error, "provider.unreachable");
        if error.is_connect() { Self::Unreachable } else { Self::Cut }
    }

    pub(super) fn reading(error: &hyper::Error) -> Self {
        tracing::warn!(%error, "provider.cut");
        Self::Cut
    }

    /// For events and logs: our own words.
    pub fn words(&self) -> String {
        match self {
            Self::Unreachable => "the provider could not be reached".into(),
            Self::Timeout => "the provider did not answer in time".into(),
            Self::Cut => "the provider broke off".into(),
            Self::TooLarge => "the provider's answer was too large".into(),
            Self::Malformed => "the provider's answer was malformed".into(),
            Self::Unsendable => "the request to the provider could not be built".into(),
            Self::Busy { .. } => "the provider was busy".into(),
            Self::Limited { .. } => "the provider limits us".into(),
            Self::Denied { status } => format!("the provider does not accept us: status {status}"),
            Self::Broken { status } => format!("the provider answered with status {status}"),
            Self::Said { .. } => "the provider reported an error in its answer".into(),
            Self::Refused { .. } => "the provider refused the request".into(),
        }
    }
}

impl Failure {
    /// For events: what it is called where an answer had begun. Most kinds come before that, and end in a release.
    pub fn code(&self) -> UsageErrorCode {
        match self {
            Self::Timeout => UsageErrorCode::ProviderTimeout,
            Self::Cut | Self::Unreachable => UsageErrorCode::CutStream,
            Self::TooLarge
            | Self::Malformed
            | Self::Unsendable
            | Self::Busy { .. }
            | Self::Limited { .. }
            | Self::Denied { .. }
            | Self::Broken { .. }
            | Self::Said { .. }
            | Self::Refused { .. } => UsageErrorCode::ProviderError,
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: ErrorBody<'a>,
}

/// `param` and `code` may be anything at some providers; only texts are passed on.
#[derive(Deserialize)]
struct ErrorBody<'a> {
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    param: Option<&'a RawValue>,
}

/// What an error answer of a provider means for the client.
pub fn refused(connection: &Connection, status: StatusCode, retry_after: Option<u64>, body: &[u8]) -> Failure {
    let status = status.as_u16();
    match status {
        // Errors of the client's making, if the provider says so in the API's own form; an HTML page would be ours.
        400 | 404 | 405 | 409 | 413 | 415 | 422 => match error_body(body) {
            Some(error) => Failure::Refused {
                message: text(connection, error.message).unwrap_or_else(|| "The provider refused the request.".into()),
                code: text(connection, error.code),
                param: text(connection, error.param),
            },
            None => Failure::Broken { status },
        },
        408 | 504 | 524 => Failure::Timeout,
        429 => Failure::Limited { retry_after: retry_after.unwrap_or(BUSY_SECONDS).clamp(1, 60) },
        503 | 529 => Failure::Busy { retry_after: retry_after.unwrap_or(BUSY_SECONDS).clamp(1, 60) },
        401..=403 => {
            tracing::error!(
                provider = connection.name(),
                status,
                "provider.denied: our key or our balance there is bad"
            );
            Failure::Denied { status }
        }
        _ => Failure::Broken { status },
    }
}

/// An error in the midst of an answer.
pub(crate) fn said(connection: &Connection, error: &RawValue) -> Failure {
    let message =
        serde_json::from_str(error.get()).ok().and_then(|error: ErrorBody<'_>| text(connection, error.message));
    Failure::Said { message }
}

fn error_body(body: &[u8]) -> Option<ErrorBody<'_>> {
    serde_json::from_slice::<Body<'_>>(body).ok().map(|body| body.error)
}

fn text(connection: &Connection, value: Option<&RawValue>) -> Option<String> {
    let mut text: String = serde_json::from_str(value?.get()).ok()?;
    if connection.gives_key_away(&text) {
        return None;
    }
    if let Some((end, _)) = text.char_indices().nth(MESSAGE_LIMIT) {
        text.truncate(end);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection::new("test", &"http://localhost/v1".parse().unwrap(), "vck_secret").unwrap()
    }

    fn of(status: u16, body: &str) -> Failure {
        refused(&connection(), StatusCode::from_u16(status).unwrap(), None, body.as_bytes())
    }

    #[test]
    fn our_account_at_the_provider_is_not_the_clients_business() {
        for status in [401, 402, 403] {
            let body = r#"{"error":{"message":"Insufficient funds","type":"insufficient_funds"}}"#;
            assert_eq!(of(status, body), Failure::Denied { status });
        }
    }

    #[test]
    fn what_the_client_did_wrong_is_passed_on() {
        let body = r#"{"error":{"message":"bad temperature","type":"x","param":{"a":1},"code":"unsupported_value"}}"#;
        let expected =
            Failure::Refused { message: "bad temperature".into(), code: Some("unsupported_value".into()), param: None };
        assert_eq!(of(400, body), expected);
        assert_eq!(of(404, "<html>"), Failure::Broken { status: 404 });
    }

    #[test]
    fn our_key_is_never_shown() {
        let failure = of(400, r#"{"error":{"message":"Bearer vck_secret is odd","param":"vck_secret"}}"#);
        assert!(!format!("{failure:?}").contains("vck_secret"), "{failure:?}");
    }

    #[test]
    fn busy_says_when_to_come_back() {
        assert_eq!(of(429, ""), Failure::Limited { retry_after: 5 });
        assert_eq!(of(529, ""), Failure::Busy { retry_after: 5 });
        let long = refused(&connection(), StatusCode::SERVICE_UNAVAILABLE, Some(900), b"");
        assert_eq!(long, Failure::Busy { retry_after: 60 });
    }
}
