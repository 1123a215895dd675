//! How a request looks that is refused by its key's cap.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::key_limits::{Cap, Period};
use schemas::money::Nanocredits;

use super::face::{Details, Face};

/// `amounts`: what the request can cost, what is left of the cap, what is held for the key's running requests.
pub(super) fn face(
    (needed, left, held): (Nanocredits, Nanocredits, Nanocredits),
    cap: Cap,
    until: Option<DateTime<Utc>>,
    affordable: Option<(&'static str, u64)>,
) -> Face {
    let each = match cap.period {
        Period::Day => " a day",
        Period::Month => " a month",
        Period::Total => " in all",
    };
    // With what is held given back it would be enough: then another try may succeed.
    let passes = left.plus(held).is_ok_and(|free| needed <= free);
    let hint = match (passes, affordable, until) {
        (true, ..) => {
            format!("{held} are set aside for requests of this key that are running: try again when they have ended.")
        }
        (false, Some((limit, tokens)), _) => format!("Lower {limit} to {tokens}, or use another key."),
        (false, None, Some(until)) => {
            format!("It begins anew at {}.", until.to_rfc3339_opts(SecondsFormat::Secs, true))
        }
        (false, None, None) => "Use another key.".to_owned(),
    };
    let message = format!(
        "This API key may spend {} credits{each}; {left} are left, and this request can cost up to {needed}. {hint}",
        cap.credits
    );
    let mut face = Face::new(StatusCode::PAYMENT_REQUIRED, "insufficient_funds", Some("key_cap_reached"), message);
    face.details = Details {
        credits_needed: Some(needed.to_string()),
        credits_available: Some(left.to_string()),
        credits_held: Some(held.to_string()),
        affordable_max_tokens: affordable.map(|(_, tokens)| tokens),
    };
    if passes { face.after(Duration::from_secs(1)) } else { face.never_retry() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(amounts: [&str; 3], period: Period, tokens: Option<u64>) -> Face {
        let [needed, left, held] = amounts.map(|amount| amount.parse().unwrap());
        let cap = Cap { credits: "5".parse().unwrap(), period };
        let until = period.until(period.from("2026-11-25T10:00:00Z".parse().unwrap()));
        face((needed, left, held), cap, until, tokens.map(|tokens| ("max_tokens", tokens)))
    }

    #[test]
    fn it_says_what_is_left_and_when_there_is_more() {
        let reached = of(["0.5", "0", "0"], Period::Day, None);
        assert!(
            reached.never_retry && reached.message.ends_with("It begins anew at 2026-11-26T00:00:00Z."),
            "{reached:?}"
        );
        let smaller = of(["3", "2", "0"], Period::Total, Some(70));
        assert!(smaller.never_retry && smaller.message.contains("5 credits in all; 2 are left"), "{smaller:?}");
        assert!(smaller.message.contains("max_tokens to 70"), "{smaller:?}");
        let passes = of(["3", "2", "1"], Period::Month, None);
        assert!(!passes.never_retry && passes.retry_after == Some(1), "{passes:?}");
        assert_eq!((passes.status, passes.code.as_deref()), (StatusCode::PAYMENT_REQUIRED, Some("key_cap_reached")));
    }
}
