//! How a command that was not carried out looks to the operator who sent it.

use std::time::Duration;

use axum::http::StatusCode;
use schemas::message::{Refusal, RefusalCode};

use super::face::{Face, unavailable};
use crate::till::NotCarriedOut;

/// The face of it.
pub(super) fn face(why: &NotCarriedOut) -> Face {
    match why {
        NotCarriedOut::Refused(refusal) => refused(refusal),
        NotCarriedOut::Unheard => unavailable("ledger_unavailable", "The ledger cannot be reached; nothing was done.")
            .after(Duration::from_secs(1)),
        // A command without a reference would be carried out twice.
        NotCarriedOut::Unknown => unavailable(
            "command_unconfirmed",
            "The ledger did not answer in time: it may have been carried out. Look before you send it again; under the same \
             reference it is carried out once.",
        )
        .never_retry(),
        NotCarriedOut::TooLarge => {
            let message = "The request is larger than the ledger can be sent: a megabyte.";
            Face::invalid(StatusCode::PAYLOAD_TOO_LARGE, Some("request_too_large"), message)
        }
    }
}

fn refused(refusal: &Refusal) -> Face {
    let (status, code) = match refusal.code {
        RefusalCode::Malformed | RefusalCode::UnknownCommand => (StatusCode::BAD_REQUEST, "invalid_value"),
        RefusalCode::BadAmount => (StatusCode::BAD_REQUEST, "bad_amount"),
        RefusalCode::BadPriceBook => (StatusCode::BAD_REQUEST, "bad_price_book"),
        RefusalCode::UnknownModel => (StatusCode::BAD_REQUEST, "unknown_model"),
        RefusalCode::UnknownAccount => (StatusCode::NOT_FOUND, "unknown_account"),
        RefusalCode::UnknownRequest => (StatusCode::NOT_FOUND, "unknown_request"),
        RefusalCode::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
        RefusalCode::ReferenceReused => (StatusCode::CONFLICT, "reference_reused"),
        RefusalCode::CreditsLeased => (StatusCode::CONFLICT, "credits_leased"),
        RefusalCode::InsufficientCredits => (StatusCode::CONFLICT, "insufficient_credits"),
        RefusalCode::UnknownEntry => (StatusCode::NOT_FOUND, "unknown_entry"),
        RefusalCode::EntryClosed | RefusalCode::StillRefused => (StatusCode::CONFLICT, "entry_closed"),
        RefusalCode::NotRegistered | RefusalCode::Unavailable => {
            tracing::warn!(%refusal, "command.refused");
            return unavailable("ledger_unavailable", "The ledger cannot do this right now. Please try again.")
                .after(Duration::from_secs(1));
        }
    };
    let face = Face::invalid(status, Some(code), format!("The ledger refuses this: {}.", refusal.message));
    match refusal.code {
        // They come back by themselves.
        RefusalCode::CreditsLeased => face.after(Duration::from_secs(3)),
        // SDKs retry a 409, which would be refused again.
        _ if status == StatusCode::CONFLICT => face.never_retry(),
        _ => face,
    }
}
