//! Everything that can go wrong for a client, by name. [`Error::face`] says how each one looks: OpenAI's body, a status,
//! headers that tell SDKs whether to try again, and the label of a metric.

mod charged;
/// All codes.
pub mod code;
mod command;
mod dialect;
mod face;
mod key_cap;
mod once;
#[cfg(test)]
mod one_of_each;

use std::time::Duration;

pub use charged::Charged;
use chrono::{DateTime, Utc};
pub use dialect::Dialect;
pub use face::{Face, Outcome};
use schemas::ids::RequestId;
use schemas::key_limits::Cap;
use schemas::money::Nanocredits;

use crate::till::{NotAuthenticated, NotCarriedOut, Refused};
use crate::upstream::{Failure, Nobody};

/// What a request was refused for, or failed of.
#[derive(Clone, Debug)]
pub enum Error {
    /// No key, and no test mode.
    NoKey,
    /// A key that is none, or not one of ours.
    BadKey {
        /// Its first characters, as far as they may be shown.
        shown: String,
    },
    /// A key that was revoked.
    RevokedKey,
    /// A key whose time is over.
    ExpiredKey,
    /// Too many failed authentications from one address.
    TooManyFailures,
    /// Not the operator's key.
    NotAdmin,
    /// An operator's command was not carried out.
    Command(NotCarriedOut),
    /// Keys cannot be looked up now.
    CannotAuthenticate,
    /// Too many requests for the account's tier.
    RateLimited {
        /// Requests a minute.
        limit: u32,
        /// Until the next one is let through.
        retry_after: Duration,
    },
    /// No such route.
    UnknownRoute {
        /// What was asked.
        asked: String,
    },
    /// The route is there, the method is not.
    WrongMethod {
        /// What was asked.
        asked: String,
    },
    /// The body is too large.
    TooLarge,
    /// The body did not come in time.
    BodyTimeout,
    /// The body broke off.
    BodyUnreadable,
    /// The body came in an encoding that is not taken.
    PackedBody,
    /// A body that is not what the route takes.
    Invalid(Invalid),
    /// An image that cannot be made so: OpenAI has a name of its own for these.
    InvalidImage(Invalid),
    /// No such model, or one that is no longer sold.
    ModelNotFound {
        /// The whole sentence.
        message: String,
    },
    /// The account cannot pay for it.
    InsufficientCredits {
        /// What the request can cost at most.
        needed: Nanocredits,
        /// What can be spent.
        available: Nanocredits,
        /// The output limit that what is available pays for, and its name in the request; absent where not even the input is
        /// paid for, or nothing is written.
        affordable: Option<(&'static str, u64)>,
    },
    /// The account could pay, were its credits not set aside for requests that are running.
    CreditsHeld {
        /// What the request can cost at most.
        needed: Nanocredits,
        /// What can be spent now.
        available: Nanocredits,
        /// What is set aside.
        held: Nanocredits,
    },
    /// The key may not ask this model.
    ModelNotAllowed {
        /// Its id.
        model: String,
    },
    /// It is more than is left of the key's cap.
    KeyCapReached {
        /// What the request can cost at most.
        needed: Nanocredits,
        /// What is left of the cap.
        left: Nanocredits,
        /// What is set aside for the key's requests that are running.
        held: Nanocredits,
        /// The cap.
        cap: Cap,
        /// When it begins anew.
        until: Option<DateTime<Utc>>,
        /// The output limit that what is left pays for, and its name; absent where not even the input is paid for.
        affordable: Option<(&'static str, u64)>,
    },
    /// Nothing can be authorized now.
    CannotAuthorize {
        /// What is missing.
        why: &'static str,
        /// When to try again.
        retry_after: Duration,
    },
    /// No provider is set up for this traffic.
    NoProvider {
        /// Live, or sandbox.
        livemode: bool,
    },
    /// The provider failed; nothing was charged.
    Upstream(Failure),
    /// The provider failed after it had delivered something, which was charged.
    UpstreamCharged(Failure),
    /// The gateway stops before the answer came; nothing was charged.
    Stopping,
    /// The gateway stops in the midst of a stream; what was delivered was charged.
    StoppingCharged,
    /// The answer is there, its charge is not yet confirmed.
    SettlementUnconfirmed,
    /// The read models cannot be read.
    CannotRead,
    /// The read models have no row for the account yet.
    NotYetProjected,
    /// The read models, or the log, do not reach there yet.
    AsOfNotYetKnown {
        /// The last position that they know.
        reached: i64,
        /// When that was recorded.
        reached_at: Option<String>,
    },
    /// The read models are not as far as was asked for.
    PositionNotYetKnown {
        /// The last position that they know.
        reached: u64,
        /// What was asked for.
        asked: u64,
    },
    /// Too many feeds are open.
    TooManyFeeds,
    /// The account did not exist then.
    NoAccountThen,
    /// The history of that time is built by the next rebuild only.
    HistoryNotBuilt,
    /// The account has no request of this id: there is none, or it is another's.
    NoReceipt,
    /// The account has no such request: there is none, or it is another's.
    NoGeneration,
    /// The request still runs.
    GenerationRuns,
    /// The log's public form has nothing at this path.
    NotInLog {
        /// What was asked.
        asked: String,
    },
    /// The log does not hold together where a receipt needs it.
    Unprovable,
    /// The idempotency key stands for another request.
    KeyReused,
    /// The request that has the idempotency key still runs.
    KeyInUse {
        /// When to try again.
        retry_after: Duration,
    },
    /// The answer under the idempotency key was charged, and is not kept.
    AnswerGone {
        /// Whose answer it was.
        first: RequestId,
    },
    /// The client of the first request under the idempotency key left in the midst of the stream.
    AnswerIncomplete,
    /// Idempotency keys cannot be looked up now.
    AnswersUnavailable,
    /// A defect of ours; nothing was charged.
    Internal,
    /// A defect of ours, and what was charged is not known here.
    Crashed,
}

/// A body that is not what the route takes, in OpenAI's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// `invalid_type`, `missing_required_parameter` …; absent where OpenAI has none.
    pub code: Option<&'static str>,
    /// The field: `messages[0].role`.
    pub param: Option<String>,
    /// For people.
    pub message: String,
}

impl Invalid {
    /// With a code, about a field.
    pub fn new(code: &'static str, param: impl Into<String>, message: impl Into<String>) -> Self {
        debug_assert!(code::is_of_field(code), "{code} is not on the list");
        Self { code: Some(code), param: Some(param.into()), message: message.into() }
    }

    /// Not the JSON of a request at all.
    pub fn unparseable() -> Self {
        let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your \
                       HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)";
        Self { code: None, param: None, message: message.into() }
    }

    /// A field that is not there.
    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        let message = format!("Missing required parameter: '{param}'.");
        Self::new("missing_required_parameter", param, message)
    }

    /// A field of another type.
    pub fn wrong_type(param: impl Into<String>, expected: &str, got: &str) -> Self {
        let param = param.into();
        let message = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::new("invalid_type", param, message)
    }

    /// A field that is fine with others, not here: it could change the price or the model behind the hold's back.
    pub fn unsupported(param: impl Into<String>, why: &str) -> Self {
        let param = param.into();
        let message = format!("Unsupported parameter: '{param}' is not supported here. {why}");
        Self::new("unsupported_parameter", param, message)
    }
}

impl From<NotCarriedOut> for Error {
    fn from(why: NotCarriedOut) -> Self {
        Self::Command(why)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl Error {
    /// A key that was not accepted, and why.
    pub fn of_key(secret: &str, error: &NotAuthenticated) -> Self {
        match error {
            NotAuthenticated::Malformed | NotAuthenticated::Unknown => Self::BadKey { shown: masked(secret) },
            NotAuthenticated::Revoked => Self::RevokedKey,
            NotAuthenticated::Expired => Self::ExpiredKey,
            NotAuthenticated::Unavailable => Self::CannotAuthenticate,
        }
    }

    /// Nobody can be asked for a model.
    pub fn of_nobody(nobody: Nobody, livemode: bool) -> Self {
        match nobody {
            Nobody::Serves => Self::NoProvider { livemode },
            Nobody::Works { rests } => {
                let seconds = rests.as_secs() + u64::from(rests.subsec_nanos() > 0);
                Self::Upstream(Failure::Resting { retry_after: seconds.clamp(1, 60) })
            }
        }
    }

    /// A hold for a model that was refused. `affordable` tells the output limit that an amount pays for, and its name.
    pub fn of_refusal(
        refused: Refused,
        model: &str,
        affordable: impl FnOnce(Nanocredits) -> Option<(&'static str, u64)>,
    ) -> Self {
        match refused {
            Refused::InsufficientCredits { needed, available, .. } => {
                Self::InsufficientCredits { needed, available, affordable: affordable(available) }
            }
            Refused::CreditsHeld { needed, available, held } => Self::CreditsHeld { needed, available, held },
            Refused::ModelNotAllowed => Self::ModelNotAllowed { model: model.to_owned() },
            Refused::KeyCapReached { needed, left, held, cap, until } => {
                Self::KeyCapReached { needed, left, held, cap, until, affordable: affordable(left) }
            }
            Refused::Unavailable { why, retry_after } => Self::CannotAuthorize { why, retry_after },
        }
    }
}

/// Enough of a key to recognise it, too little to use it.
fn masked(secret: &str) -> String {
    const SHOWN: usize = 12;
    let printable = secret.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || secret.len() < 2 * SHOWN { "***".into() } else { format!("{}***", &secret[..SHOWN]) }
}
