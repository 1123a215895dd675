//! What a page answers: HTML with headers that keep a browser to it, or a refusal that is a page as well.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::Markup;

use super::entrance::no_cookie;
use super::visitor::Visitor;
use super::{layout, sign_in};
use crate::error::Error;
use crate::till::NotCarriedOut;

/// Nothing but our own style and pictures; no script at all, no frame, forms only to us.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What every answer of the console has, whatever it is.
pub(super) const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // With "no-referrer" a browser would not say where a form comes from.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Pages are of one visitor and of one moment.
const NEVER_KEPT: HeaderValue = HeaderValue::from_static("no-store");

/// A page.
pub(super) fn page(status: StatusCode, markup: Markup) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let cache = (header::CACHE_CONTROL, NEVER_KEPT);
    (status, [kind, cache], HEADERS, markup.into_string()).into_response()
}

/// Another page, asked for with GET.
pub(super) fn see_other(path: &str) -> Response {
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static(super::PATH));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::CACHE_CONTROL, NEVER_KEPT)], HEADERS)
        .into_response()
}

/// Why there is no such page now.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// Nobody has signed in.
    SignIn,
    /// The session's time is over, or its key is.
    SessionOver,
    /// There is none, or it is not for this visitor.
    NotFound,
    /// What is asked for makes no sense.
    Invalid(String),
    /// A form that may have been sent by somebody else's page.
    Forbidden(&'static str),
    /// The ledger said no, in its words.
    Refused(String),
    /// Too many pages are being made.
    Busy,
    /// The database took longer than a page may.
    TooLong,
    /// What is needed does not answer.
    Unavailable(&'static str),
    /// A defect.
    Broken(&'static str),
}

pub(super) const CANNOT_READ: &str = "The read models cannot be read now.";

impl Refusal {
    /// An error of the API, in a page's words.
    pub(super) fn of(error: &Error) -> Self {
        if matches!(error, Error::Unprovable) {
            return Self::Broken("The log does not hold together here. The operator has been told.");
        }
        let face = error.face();
        match face.status {
            StatusCode::NOT_FOUND => Self::NotFound,
            status if status.is_client_error() => Self::Invalid(face.message),
            _ => {
                tracing::warn!(message = %face.message, "console.failed");
                Self::Unavailable(CANNOT_READ)
            }
        }
    }

    /// A command that was not carried out.
    pub(super) fn of_command(error: NotCarriedOut) -> Self {
        match error {
            NotCarriedOut::Refused(refusal) => Self::Refused(refusal.to_string()),
            NotCarriedOut::TooLarge => Self::Invalid("That is more than can be sent to the ledger.".to_owned()),
            NotCarriedOut::Unheard => Self::Unavailable("The ledger cannot be reached. Nothing was done."),
            NotCarriedOut::Unknown => Self::Unavailable(
                "The ledger did not answer in time. It may have been done: look before you try again.",
            ),
        }
    }

    /// Status, heading, and what can be done about it.
    fn told(&self) -> (StatusCode, &'static str, String) {
        match self {
            Self::SignIn | Self::SessionOver => (StatusCode::UNAUTHORIZED, "Please sign in", String::new()),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "There is no such page",
                "It may have been mistyped, or it belongs to an account that you are not signed in to.".to_owned(),
            ),
            Self::Invalid(why) => (StatusCode::BAD_REQUEST, "That cannot be asked", why.clone()),
            Self::Forbidden(why) => (StatusCode::FORBIDDEN, "This was not done", (*why).to_owned()),
            Self::Refused(why) => (StatusCode::CONFLICT, "The ledger refused", why.clone()),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Too many people look at once",
                "Requests to the API go first. Try again in a few seconds.".to_owned(),
            ),
            Self::TooLong => (
                StatusCode::SERVICE_UNAVAILABLE,
                "This took too long",
                "It was stopped so that it holds up nobody else. Choose a shorter time, or fewer filters that match rarely."
                    .to_owned(),
            ),
            Self::Unavailable(why) => (StatusCode::SERVICE_UNAVAILABLE, "This cannot be shown now", (*why).to_owned()),
            Self::Broken(why) => (StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong on our side", (*why).to_owned()),
        }
    }

    /// The refusal as a page of this visitor, where the answer is one.
    pub(super) fn dress(response: Response, visitor: &Visitor) -> Response {
        match response.extensions().get::<Self>() {
            Some(Self::SignIn | Self::SessionOver) | None => response,
            Some(refusal) => {
                let (status, title, text) = refusal.told();
                page(status, layout::refusal(Some(visitor), title, &text))
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = match &self {
            Self::SignIn => see_other(sign_in::PATH),
            Self::SessionOver => {
                let mut response = see_other(sign_in::OVER);
                response.headers_mut().extend(no_cookie(None).map(|cookie| (header::SET_COOKIE, cookie)));
                response
            }
            _ => {
                let (status, title, text) = self.told();
                page(status, layout::refusal(None, title, &text))
            }
        };
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        /// PostgreSQL's name for a statement that was cancelled.
        const CANCELLED: &str = "57014";
        if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == CANCELLED) {
            return Self::TooLong;
        }
        tracing::warn!(%error, "console.unreadable");
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            _ => Self::Unavailable(CANNOT_READ),
        }
    }
}
