//! Every kind of error looked at beside the list of codes.

use std::time::Duration;

use schemas::ids::RequestId;
use schemas::key_limits::{Cap, Period};
use schemas::message::{Refusal, RefusalCode};
use schemas::money::Nanocredits;

use super::code::{Again, CODES, listed};
use super::{Error, Invalid};
use crate::till::NotCarriedOut;
use crate::upstream::Failure;

/// One of each kind, and of each that looks different.
fn one_of_each() -> Vec<Error> {
    let one = Nanocredits::new(1_000_000_000);
    let cap = Cap { credits: one, period: Period::Day };
    let (wait, time) = (Duration::from_secs(1), None);
    let invalid = Invalid::missing("model");
    let refused = |code| Error::Command(NotCarriedOut::Refused(Refusal { code, message: "no".into() }));
    let mut all = vec![
        Error::NoKey,
        Error::BadKey { shown: "***".into() },
        Error::RevokedKey,
        Error::ExpiredKey,
        Error::TooManyFailures,
        Error::NotAdmin,
        Error::Command(NotCarriedOut::Unheard),
        Error::Command(NotCarriedOut::Unknown),
        Error::Command(NotCarriedOut::TooLarge),
        Error::CannotAuthenticate,
        Error::RateLimited { limit: 10, retry_after: wait },
        Error::UnknownRoute { asked: "x".into() },
        Error::WrongMethod { asked: "x".into() },
        Error::TooLarge,
        Error::BodyTimeout,
        Error::BodyUnreadable,
        Error::PackedBody,
        Error::Invalid(invalid.clone()),
        Error::Invalid(Invalid::unparseable()),
        Error::InvalidImage(invalid),
        Error::ModelNotFound { message: "x".into() },
        Error::InsufficientCredits { needed: one, available: one, affordable: None },
        Error::CreditsHeld { needed: one, available: one, held: one },
        Error::ModelNotAllowed { model: "x".into() },
        Error::KeyCapReached { needed: one, left: one, held: one, cap, until: None, affordable: None },
        Error::CannotAuthorize { why: "x", retry_after: wait },
        Error::NoProvider { livemode: true },
        Error::Stopping,
        Error::StoppingCharged,
        Error::SettlementUnconfirmed,
        Error::CannotRead,
        Error::NotYetProjected,
        Error::AsOfNotYetKnown { reached: 1, reached_at: time },
        Error::PositionNotYetKnown { reached: 1, asked: 2 },
        Error::TooManyFeeds,
        Error::NoAccountThen,
        Error::HistoryNotBuilt,
        Error::NoReceipt,
        Error::NoGeneration,
        Error::GenerationRuns,
        Error::NotInLog { asked: "x".into() },
        Error::Unprovable,
        Error::KeyReused,
        Error::KeyInUse { retry_after: wait },
        Error::AnswerGone { first: RequestId(uuid::Uuid::nil()) },
        Error::AnswerIncomplete,
        Error::AnswersUnavailable,
        Error::Internal,
        Error::Crashed,
    ];
    for failure in [
        Failure::Timeout,
        Failure::Denied { status: 401 },
        Failure::Resting { retry_after: 1 },
        Failure::Unreachable,
        Failure::Busy { retry_after: 1 },
        Failure::Limited { retry_after: 1 },
        Failure::Said { message: None },
    ] {
        all.extend([Error::Upstream(failure.clone()), Error::UpstreamCharged(failure)]);
    }
    all.extend(REFUSALS.map(refused));
    all
}

const REFUSALS: [RefusalCode; 14] = [
    RefusalCode::Malformed,
    RefusalCode::UnknownCommand,
    RefusalCode::BadAmount,
    RefusalCode::BadPriceBook,
    RefusalCode::UnknownModel,
    RefusalCode::UnknownAccount,
    RefusalCode::UnknownRequest,
    RefusalCode::UnknownKey,
    RefusalCode::ReferenceReused,
    RefusalCode::CreditsLeased,
    RefusalCode::InsufficientCredits,
    RefusalCode::UnknownEntry,
    RefusalCode::EntryClosed,
    RefusalCode::Unavailable,
];

#[test]
fn all_that_is_answered_is_on_the_list_and_the_list_has_nothing_else() {
    let mut unseen: Vec<_> =
        CODES.iter().flat_map(|code| code.statuses.iter().map(move |status| (code, *status))).collect();
    for error in one_of_each() {
        let face = error.face();
        let (name, status) = (face.code.as_deref(), face.status.as_u16());
        assert!(listed(name, face.status), "{error:?}");
        unseen.retain(|(code, known)| (code.name, *known) != (name, status));
        let Some(code) = CODES.iter().find(|code| code.name == name && code.statuses.contains(&status)) else {
            continue;
        };
        let again = !face.never_retry && ([408, 409, 429].contains(&status) || status >= 500);
        match code.again {
            Again::Yes => assert!(again, "{error:?} is sent again by SDKs: {face:?}"),
            Again::No => assert!(!again, "{error:?} is not to be sent again: {face:?}"),
            Again::AsTold => {}
        }
    }
    assert!(unseen.is_empty(), "on the list, and never answered: {unseen:?}");
}
