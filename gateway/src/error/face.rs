use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::code::listed;
use super::{Charged, Error};
use crate::till::NotCarriedOut;
use crate::upstream::Failure;

/// SDKs believe a wait of up to a minute; beyond it some give up and some wait for ever.
const LONGEST_RETRY: u64 = 60;
/// Tells OpenAI's SDKs whether another try makes sense, whatever the status says.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

const INVALID_REQUEST: &str = "invalid_request_error";
const UPSTREAM: &str = "upstream_error";
const UNAVAILABLE: &str = "service_unavailable_error";

/// How an error looks to a client.
#[derive(Clone, Debug)]
pub struct Face {
    /// HTTP status.
    pub status: StatusCode,
    /// `error.type`.
    pub kind: &'static str,
    /// `error.code`.
    pub code: Option<Cow<'static, str>>,
    /// `error.param`.
    pub param: Option<String>,
    /// `error.message`.
    pub message: String,
    /// Seconds until a retry makes sense.
    pub retry_after: Option<u64>,
    /// A retry makes no sense, or would cost again.
    pub never_retry: bool,
    /// More members of `error`, beside OpenAI's four.
    pub details: Details,
}

/// What a 402 says in numbers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credits_needed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credits_available: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) credits_held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) affordable_max_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Members<'a>,
}

#[derive(Serialize)]
struct Members<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(flatten)]
    details: &'a Details,
}

impl Face {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        code: Option<&'static str>,
        message: impl Into<String>,
    ) -> Self {
        debug_assert!(listed(code, status), "{code:?} with {status} is not on the list");
        Self {
            status,
            kind,
            code: code.map(Cow::Borrowed),
            param: None,
            message: message.into(),
            retry_after: None,
            never_retry: false,
            details: Details::default(),
        }
    }

    pub(super) fn invalid(status: StatusCode, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::new(status, INVALID_REQUEST, code, message)
    }

    pub(super) fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.retry_after = Some(seconds.clamp(1, LONGEST_RETRY));
        self
    }

    pub(super) fn never_retry(mut self) -> Self {
        self.never_retry = true;
        self
    }

    /// It cost money: by no word of it must anybody try again, neither by the header nor by the status, which is all that some
    /// SDKs look at. They take 408, 409, 429 and 500 on as a reason to.
    fn after_charge(mut self) -> Self {
        let status = self.status;
        let is_tried_again =
            matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS)
                || status.is_server_error();
        if is_tried_again {
            self.status = StatusCode::FAILED_DEPENDENCY;
        }
        self.retry_after = None;
        self.never_retry()
    }

    /// OpenAI's body: `{"error":{"message","type","param","code"}}`.
    pub fn body(&self) -> String {
        serde_json::to_string(&Envelope { error: self.members() }).unwrap_or_default()
    }

    /// What stands under `error` in it.
    pub fn error(&self) -> serde_json::Value {
        serde_json::to_value(self.members()).unwrap_or_default()
    }

    fn members(&self) -> Members<'_> {
        Members {
            message: &self.message,
            r#type: self.kind,
            param: self.param.as_deref(),
            code: self.code.as_deref(),
            details: &self.details,
        }
    }
}

impl Error {
    /// How this looks to a client.
    pub fn face(&self) -> Face {
        let face = self.told();
        match self.charged() {
            Charged::No => face,
            Charged::Yes | Charged::Unknown => face.after_charge(),
        }
    }

    fn told(&self) -> Face {
        match self {
            Self::NoKey => Face::invalid(
                StatusCode::UNAUTHORIZED,
                None,
                "You didn't provide an API key. You need to provide your API key in an Authorization header using \
                 Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            ),
            Self::BadKey { shown } => bad_key(format!("Incorrect API key provided: {shown}.")),
            Self::RevokedKey => bad_key("This API key has been revoked."),
            Self::ExpiredKey => bad_key("This API key has expired."),
            Self::TooManyFailures => Face::new(
                StatusCode::TOO_MANY_REQUESTS,
                "requests",
                Some("too_many_failed_authentications"),
                "Too many requests with wrong API keys came from your address. Please try again in a minute.",
            )
            .after(Duration::from_secs(60)),
            Self::NotAdmin => Face::invalid(
                StatusCode::UNAUTHORIZED,
                Some("invalid_admin_key"),
                "This needs the operator's key in an Authorization header: Bearer LAYERS_ADMIN_KEY.",
            ),
            Self::Command(why) => super::command::face(why),
            Self::CannotAuthenticate => {
                unavailable("authentication_unavailable", "API keys cannot be checked right now. Please try again.")
                    .after(Duration::from_secs(1))
            }
            Self::RateLimited { limit, retry_after } => {
                let message = format!(
                    "Rate limit reached on requests per min (RPM): Limit {limit}. Please try again in {}s.",
                    retry_after.as_secs() + 1
                );
                let code = Some("rate_limit_exceeded");
                Face::new(StatusCode::TOO_MANY_REQUESTS, "requests", code, message).after(*retry_after)
            }
            Self::UnknownRoute { asked } => {
                Face::invalid(StatusCode::NOT_FOUND, Some("unknown_url"), format!("Invalid URL ({asked})"))
            }
            Self::WrongMethod { asked } => Face::invalid(
                StatusCode::METHOD_NOT_ALLOWED,
                None,
                format!("Not allowed to {asked}. (HINT: Perhaps you meant to use a different HTTP method?)"),
            ),
            Self::TooLarge => Face::invalid(
                StatusCode::PAYLOAD_TOO_LARGE,
                Some("request_too_large"),
                format!("The request body is larger than {} bytes.", crate::paid::BODY_LIMIT),
            ),
            Self::BodyTimeout => Face::invalid(
                StatusCode::REQUEST_TIMEOUT,
                Some("request_timeout"),
                "The request body did not arrive in time.",
            ),
            Self::BodyUnreadable => Face::invalid(
                StatusCode::BAD_REQUEST,
                Some("unreadable_body"),
                "The request body broke off before its end.",
            ),
            Self::PackedBody => Face::invalid(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                Some("unsupported_content_encoding"),
                "The request body is packed (Content-Encoding). Send it as it is.",
            ),
            Self::Invalid(invalid) => {
                let mut face = Face::invalid(StatusCode::BAD_REQUEST, invalid.code, invalid.message.clone());
                face.param.clone_from(&invalid.param);
                face
            }
            Self::InvalidImage(invalid) => {
                let mut face = Self::Invalid(invalid.clone()).face();
                face.kind = "image_generation_user_error";
                face
            }
            Self::ModelNotFound { message } => {
                Face::invalid(StatusCode::NOT_FOUND, Some("model_not_found"), message.clone())
            }
            Self::ModelNotAllowed { model } => {
                let message = format!("This API key may not ask the model `{model}`.");
                let mut face = Face::invalid(StatusCode::FORBIDDEN, Some("model_not_allowed"), message);
                face.param = Some("model".into());
                face
            }
            Self::KeyCapReached { needed, left, held, cap, until, affordable } => {
                super::key_cap::face((*needed, *left, *held), *cap, *until, *affordable)
            }
            Self::InsufficientCredits { .. } | Self::CreditsHeld { .. } => self.payment_face(),
            Self::CannotAuthorize { why, retry_after } => {
                unavailable("authorization_unavailable", format!("Requests cannot be authorized right now: {why}."))
                    .after(*retry_after)
            }
            Self::NoProvider { livemode } => {
                let which = if *livemode { "live" } else { "sandbox" };
                let message = format!("No provider is set up for {which} requests on this gateway.");
                unavailable("provider_not_configured", message).never_retry()
            }
            Self::Upstream(failure) => upstream(failure),
            Self::UpstreamCharged(failure) => upstream(failure),
            Self::Stopping => {
                unavailable("gateway_stopping", "The gateway had to stop before the answer came. Please try again.")
                    .after(Duration::from_secs(1))
            }
            Self::StoppingCharged => unavailable(
                "gateway_stopping",
                "The gateway had to stop before the answer ended. What was delivered is charged.",
            ),
            Self::SettlementUnconfirmed => Face::new(
                StatusCode::FAILED_DEPENDENCY,
                UNAVAILABLE,
                Some("settlement_unconfirmed"),
                "The answer is ready, but its charge could not be confirmed in time. It will be settled; a retry would \
                 be charged as well.",
            ),
            Self::CannotRead => {
                unavailable("read_model_unavailable", "This cannot be read right now. Please try again.")
                    .after(Duration::from_secs(1))
            }
            Self::NotYetProjected => {
                unavailable("not_yet_available", "This account was opened a moment ago. Please try again.")
                    .after(Duration::from_secs(1))
            }
            Self::AsOfNotYetKnown { reached, reached_at } => {
                let at = reached_at.as_deref().map_or(String::new(), |time| format!(", recorded at {time}"));
                let message = format!(
                    "What was recorded up to 'as_of' is not all known yet: the last position that is known is {reached}{at}. \
                     Please try again."
                );
                unavailable("not_yet_available", message).after(Duration::from_secs(1))
            }
            Self::PositionNotYetKnown { reached, asked } => {
                let message = format!(
                    "Position {asked} cannot be read yet: the last position that is known is {reached}. Please try again."
                );
                unavailable("not_yet_available", message).after(Duration::from_secs(1))
            }
            Self::TooManyFeeds => Face::new(
                StatusCode::TOO_MANY_REQUESTS,
                "requests",
                Some("too_many_feeds"),
                "Too many feeds of this account are open on this gateway. Close one, and open it again where it ended.",
            )
            .after(Duration::from_secs(5)),
            Self::NoAccountThen => Face::invalid(
                StatusCode::NOT_FOUND,
                Some("account_not_found"),
                "This account did not exist at that time.",
            ),
            Self::HistoryNotBuilt => {
                unavailable("history_not_available", "The history of that time has not been built yet.").never_retry()
            }
            Self::NoReceipt => Face::invalid(
                StatusCode::NOT_FOUND,
                Some("receipt_not_found"),
                "This account has no request with this id. It is the x-request-id of a response.",
            ),
            Self::NoGeneration => Face::invalid(
                StatusCode::NOT_FOUND,
                Some("generation_not_found"),
                "This account has no request with this id. It is the x-request-id of a response, or, for a day, the id of the \
                 answer in it.",
            ),
            Self::GenerationRuns => Face::invalid(
                StatusCode::NOT_FOUND,
                Some("generation_not_finished"),
                "This request has not ended yet. Please try again.",
            )
            .after(Duration::from_secs(1)),
            Self::NotInLog { asked } => {
                let message = format!("The log has nothing at '{asked}' yet.");
                Face::invalid(StatusCode::NOT_FOUND, Some("not_in_log"), message)
            }
            Self::Unprovable => Face::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                Some("receipt_unprovable"),
                "This request cannot be proved by the ledger's log. Its operator has been told.",
            )
            .never_retry(),
            Self::KeyReused => super::once::reused(),
            Self::KeyInUse { retry_after } => super::once::in_use(*retry_after),
            Self::AnswerGone { first } => super::once::gone(*first),
            Self::AnswerIncomplete => super::once::incomplete(),
            Self::AnswersUnavailable => super::once::unreachable(),
            Self::Crashed => Face::new(
                StatusCode::FAILED_DEPENDENCY,
                "server_error",
                Some("answer_lost"),
                "The server had an error while processing your request. What was charged for it, if anything, is found by its \
                 x-request-id.",
            ),
            Self::Internal => Face::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "server_error",
                None,
                "The server had an error while processing your request. Nothing was charged for it.",
            ),
        }
    }

    fn payment_face(&self) -> Face {
        const KIND: &str = "insufficient_funds";
        match self {
            Self::InsufficientCredits { needed, available, affordable } => {
                let hint = match affordable {
                    Some((limit, tokens)) => format!("Lower {limit} to {tokens} or add credits."),
                    None => "Add credits.".into(),
                };
                let message = format!(
                    "This request can cost up to {needed} credits, but only {available} credits are available. {hint}"
                );
                let mut face = Face::new(StatusCode::PAYMENT_REQUIRED, KIND, Some("insufficient_credits"), message);
                face.details = Details {
                    credits_needed: Some(needed.to_string()),
                    credits_available: Some(available.to_string()),
                    credits_held: None,
                    affordable_max_tokens: affordable.map(|(_, tokens)| tokens),
                };
                face.never_retry()
            }
            Self::CreditsHeld { needed, available, held } => {
                let message = format!(
                    "This request can cost up to {needed} credits, but only {available} credits are available while {held} \
                     are set aside for requests that are running. Try again when they have ended."
                );
                let mut face = Face::new(StatusCode::PAYMENT_REQUIRED, KIND, Some("credits_held"), message);
                face.details = Details {
                    credits_needed: Some(needed.to_string()),
                    credits_available: Some(available.to_string()),
                    credits_held: Some(held.to_string()),
                    affordable_max_tokens: None,
                };
                face.after(Duration::from_secs(1))
            }
            _ => Self::Internal.face(),
        }
    }

    /// The label under which it is counted: few values, stable.
    pub fn label(&self) -> &'static str {
        match self {
            Self::TooManyFailures
            | Self::NoKey
            | Self::BadKey { .. }
            | Self::RevokedKey
            | Self::ExpiredKey
            | Self::NotAdmin => "not_authenticated",
            Self::RateLimited { .. } | Self::TooManyFeeds => "rate_limited",
            Self::InsufficientCredits { .. } => "insufficient_credits",
            Self::CreditsHeld { .. } => "credits_held",
            Self::KeyCapReached { .. } => "key_cap_reached",
            Self::ModelNotAllowed { .. } => "not_allowed",
            Self::Command(NotCarriedOut::Refused(_) | NotCarriedOut::TooLarge) => "invalid",
            Self::Command(NotCarriedOut::Unheard | NotCarriedOut::Unknown)
            | Self::CannotAuthenticate
            | Self::CannotAuthorize { .. }
            | Self::NoProvider { .. }
            | Self::Stopping
            | Self::StoppingCharged
            | Self::KeyInUse { .. }
            | Self::AnswersUnavailable => "unavailable",
            Self::Upstream(Failure::Refused { .. }) => "invalid",
            Self::Upstream(Failure::Denied { .. }) => "provider_denied",
            Self::Upstream(_) | Self::UpstreamCharged(_) => "provider_failed",
            Self::SettlementUnconfirmed => "settlement_unconfirmed",
            Self::CannotRead
            | Self::NotYetProjected
            | Self::AsOfNotYetKnown { .. }
            | Self::PositionNotYetKnown { .. }
            | Self::HistoryNotBuilt => "cannot_read",
            Self::Internal | Self::Crashed | Self::Unprovable => "internal",
            Self::UnknownRoute { .. }
            | Self::WrongMethod { .. }
            | Self::TooLarge
            | Self::BodyTimeout
            | Self::BodyUnreadable
            | Self::PackedBody
            | Self::Invalid(_)
            | Self::InvalidImage(_)
            | Self::NoAccountThen
            | Self::KeyReused
            | Self::AnswerGone { .. }
            | Self::AnswerIncomplete
            | Self::ModelNotFound { .. }
            | Self::NoReceipt
            | Self::NoGeneration
            | Self::GenerationRuns
            | Self::NotInLog { .. } => "invalid",
        }
    }
}

fn bad_key(message: impl Into<String>) -> Face {
    Face::invalid(StatusCode::UNAUTHORIZED, Some("invalid_api_key"), message)
}

pub(super) fn unavailable(code: &'static str, message: impl Into<String>) -> Face {
    Face::new(StatusCode::SERVICE_UNAVAILABLE, UNAVAILABLE, Some(code), message)
}

fn upstream(failure: &Failure) -> Face {
    let face = |status, code, message: &str| Face::new(status, UPSTREAM, Some(code), message);
    match failure {
        Failure::Timeout => {
            face(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "The model's provider did not answer in time.")
        }
        Failure::Unreachable => {
            face(StatusCode::BAD_GATEWAY, "upstream_unavailable", "The model's provider could not be reached.")
        }
        Failure::Busy { retry_after } => face(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_unavailable",
            "The model's provider is busy. Please try again.",
        )
        .after(Duration::from_secs(*retry_after)),
        Failure::Limited { retry_after } => face(
            StatusCode::TOO_MANY_REQUESTS,
            "upstream_rate_limited",
            "The model's provider limits the rate of requests. Please try again.",
        )
        .after(Duration::from_secs(*retry_after)),
        Failure::Refused { message, code, param, .. } => {
            let mut face = Face::invalid(StatusCode::BAD_REQUEST, None, message.clone());
            face.code = code.clone().map(Cow::Owned);
            face.param.clone_from(param);
            face
        }
        Failure::Said { message: Some(message) } => face(
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            &format!("The model's provider reported an error: {message}"),
        ),
        Failure::Cut => face(StatusCode::BAD_GATEWAY, "upstream_error", "The model's provider broke off its answer."),
        Failure::Malformed | Failure::TooLarge => face(
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            "The model's provider sent an answer that could not be read.",
        ),
        Failure::Resting { retry_after } => face(
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_unavailable",
            "No provider of this model works right now. Please try again.",
        )
        .after(Duration::from_secs(*retry_after)),
        // What our key and our balance there are is not the client's business; that they are bad does not pass by itself.
        Failure::Denied { .. } => face(
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            "The model's provider cannot be used. Its operator was told.",
        )
        .never_retry(),
        Failure::Broken { .. } | Failure::Unsendable | Failure::Said { message: None } => {
            face(StatusCode::BAD_GATEWAY, "upstream_error", "The model's provider failed.")
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let face = self.face();
        let mut response = Response::new(Body::from(face.body()));
        *response.status_mut() = face.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = face.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if face.never_retry {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        // For the outermost layers, which count outcomes and speak other dialects.
        response.extensions_mut().insert(Outcome(self.label()));
        response.extensions_mut().insert(Arc::new(face));
        response
    }
}

/// How a request ended, for the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Outcome(pub &'static str);

#[cfg(test)]
mod tests {
    use schemas::money::Nanocredits;

    use super::*;

    fn credits(text: &str) -> Nanocredits {
        text.parse().unwrap()
    }

    #[test]
    fn all_four_members_are_always_there() {
        let body: serde_json::Value = serde_json::from_str(&Error::NoKey.face().body()).unwrap();
        let error = body["error"].as_object().unwrap();
        assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "message", "param", "type"]);
        assert!(error["code"].is_null() && error["param"].is_null());
    }

    #[test]
    fn a_402_says_what_the_credits_pay_for() {
        let error = Error::InsufficientCredits {
            needed: credits("3.9"),
            available: credits("2.56"),
            affordable: Some(("max_tokens", 440)),
        };
        let face = error.face();
        assert!(face.never_retry && face.retry_after.is_none());
        let body: serde_json::Value = serde_json::from_str(&face.body()).unwrap();
        assert_eq!(body["error"]["credits_available"], "2.56");
        assert_eq!(body["error"]["affordable_max_tokens"], 440);
        for part in ["3.9", "2.56", "440"] {
            assert!(face.message.contains(part), "{}", face.message);
        }
    }

    #[test]
    fn what_cost_money_is_never_tried_again() {
        let failures = [
            Failure::Timeout,
            Failure::Unreachable,
            Failure::Busy { retry_after: 5 },
            Failure::Limited { retry_after: 5 },
            Failure::Cut,
            Failure::Malformed,
            Failure::Broken { status: 500 },
            Failure::Denied { status: 402 },
            Failure::Refused { status: 400, message: "no".into(), code: None, param: None },
            Failure::Said { message: None },
        ];
        let charged = failures.into_iter().map(Error::UpstreamCharged);
        for error in charged.chain([Error::StoppingCharged, Error::SettlementUnconfirmed, Error::Crashed]) {
            let face = error.face();
            let status = face.status.as_u16();
            assert!(![408, 409, 429].contains(&status) && status < 500, "{error:?} is {status}");
            assert!(face.never_retry && face.retry_after.is_none(), "{error:?}");
        }
        assert_eq!(Error::UpstreamCharged(Failure::Cut).face().status, StatusCode::FAILED_DEPENDENCY);
        assert_eq!(Error::Upstream(Failure::Cut).face().status, StatusCode::BAD_GATEWAY, "nothing was charged");
    }

    #[test]
    fn no_wait_is_longer_than_sdks_believe() {
        let error = Error::RateLimited { limit: 10, retry_after: Duration::from_secs(3_000) };
        assert_eq!(error.face().retry_after, Some(60));
        let error = Error::RateLimited { limit: 10, retry_after: Duration::from_millis(1) };
        assert_eq!(error.face().retry_after, Some(1));
    }
}
