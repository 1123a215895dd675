//! What went wrong at the provider, and whose business it is.

use axum::http::StatusCode;
use schemas::event::UsageErrorCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Connection;
use super::breaker::Outcome;

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
    /// All who could be asked failed a moment ago and are left alone for a while.
    Resting {
        /// Until one of them may be asked again, seconds; at most 60.
        retry_after: u64,
    },
    /// The client asked for something that the provider refuses.
    Refused {
        /// What it answered.
        status: u16,
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
            Self::Resting { .. } => "no provider of the model works".into(),
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
            | Self::Resting { .. }
            | Self::Refused { .. } => UsageErrorCode::ProviderError,
        }
    }

    /// What it says about the upstream.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { .. } => Outcome::Good,
            Self::Denied { .. } => Outcome::Denied,
            Self::Unsendable | Self::Resting { .. } => Outcome::Unknown,
            Self::Unreachable
            | Self::Timeout
            | Self::Cut
            | Self::TooLarge
            | Self::Malformed
            | Self::Busy { .. }
            | Self::Limited { .. }
            | Self::Broken { .. }
            | Self::Said { .. } => Outcome::Bad,
        }
    }

    /// Whether another upstream may be asked the same, before anything has come: only where this one cannot bill it. What was
    /// never sent is not billed, and what is answered with an error is not. Of a request that was sent and brought nothing,
    /// silence or a lost connection, nobody knows; `timeouts_are_free` is the operator's word that this upstream bills no
    /// answer that it has not begun.
    pub fn may_be_repeated(&self, timeouts_are_free: bool) -> bool {
        match self {
            Self::Unreachable
            | Self::Busy { .. }
            | Self::Limited { .. }
            | Self::Denied { .. }
            | Self::Broken { .. } => true,
            Self::Timeout => timeouts_are_free,
            // It has not what it is said to have; whatever else the client did wrong is wrong everywhere.
            Self::Refused { status, .. } => matches!(status, 404 | 405),
            Self::Cut
            | Self::TooLarge
            | Self::Malformed
            | Self::Unsendable
            | Self::Said { .. }
            | Self::Resting { .. } => false,
        }
    }

    /// Whether another model may be asked, where the client names some: also where this one does not take the request.
    pub fn may_be_asked_of_another_model(&self, timeouts_are_free: bool) -> bool {
        matches!(self, Self::Refused { .. } | Self::Resting { .. }) || self.may_be_repeated(timeouts_are_free)
    }

    /// Of two, the one that tells the client more of what to do. Where one upstream is busy and another does not take our
    /// key, the client should come again.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.tells() > self.tells() { other } else { self }
    }

    fn tells(&self) -> u8 {
        match self {
            Self::Refused { status, .. } if !matches!(status, 404 | 405) => 6,
            Self::Limited { .. } => 5,
            Self::Busy { .. } | Self::Resting { .. } => 4,
            Self::Timeout => 3,
            Self::Unreachable
            | Self::Cut
            | Self::TooLarge
            | Self::Malformed
            | Self::Broken { .. }
            | Self::Said { .. } => 2,
            Self::Refused { .. } | Self::Unsendable => 1,
            Self::Denied { .. } => 0,
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
                status,
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
        let (message, code) = ("bad temperature".into(), Some("unsupported_value".into()));
        let expected = Failure::Refused { status: 400, message, code, param: None };
        assert_eq!(of(400, body), expected);
        assert_eq!(of(404, "<html>"), Failure::Broken { status: 404 });
    }

    #[test]
    fn our_key_is_never_shown() {
        let failure = of(400, r#"{"error":{"message":"Bearer vck_secret is odd","param":"vck_secret"}}"#);
        assert!(!format!("{failure:?}").contains("vck_secret"), "{failure:?}");
    }

    #[test]
    fn only_what_cannot_be_billed_is_asked_again_elsewhere() {
        for free in [401, 402, 403, 404, 424, 429, 500, 502, 503, 529] {
            let body = r#"{"error":{"message":"no"}}"#;
            assert!(of(free, body).may_be_repeated(false), "{free}");
        }
        for wrong in [400, 413, 422] {
            assert!(!of(wrong, r#"{"error":{"message":"no"}}"#).may_be_repeated(true), "{wrong}");
        }
        // Whoever is behind a gateway that gives up may go on, and bill it.
        for silent in [408, 504, 524] {
            assert!(!of(silent, "").may_be_repeated(false), "{silent}");
            assert!(of(silent, "").may_be_repeated(true), "{silent}");
        }
        assert!(Failure::Unreachable.may_be_repeated(false));
        for begun in [Failure::Cut, Failure::Malformed, Failure::TooLarge, Failure::Said { message: None }] {
            assert!(!begun.may_be_repeated(true), "{begun:?}");
        }
    }

    #[test]
    fn the_client_hears_what_helps_it_most() {
        let limited = Failure::Limited { retry_after: 7 };
        let denied = Failure::Denied { status: 401 };
        assert_eq!(denied.clone().or(limited.clone()), limited);
        assert_eq!(limited.clone().or(denied), limited);
        assert_eq!(of(404, r#"{"error":{"message":"no model"}}"#).or(Failure::Unreachable), Failure::Unreachable);
    }

    #[test]
    fn busy_says_when_to_come_back() {
        assert_eq!(of(429, ""), Failure::Limited { retry_after: 5 });
        assert_eq!(of(529, ""), Failure::Busy { retry_after: 5 });
        let long = refused(&connection(), StatusCode::SERVICE_UNAVAILABLE, Some(900), b"");
        assert_eq!(long, Failure::Busy { retry_after: 60 });
    }
}
