use axum::http::HeaderMap;

use crate::error::Invalid;

const HEADER: &str = "x-layers-actor";
const DEFAULT: &str = "admin";
const LONGEST: usize = 100;
const LONGEST_REASON: usize = 500;
const NO_REASON: &str = "by the admin API";

/// Who acts, in the operator's own words: a program or a role. It is kept for ever, so it should be no person's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Actor(pub(super) String);

impl Actor {
    /// As the request says it.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Invalid> {
        let Some(value) = headers.get(HEADER) else { return Ok(Self(DEFAULT.to_owned())) };
        match value.to_str() {
            Ok(text) if !text.trim().is_empty() && text.len() <= LONGEST => Ok(Self(text.trim().to_owned())),
            _ => {
                let message = format!("The header {HEADER} takes 1 to {LONGEST} printable ASCII characters.");
                Err(Invalid::new("invalid_value", HEADER, message))
            }
        }
    }
}

/// Why it is done, as it stands in the event.
pub(super) fn reason(why: Option<String>) -> Result<String, Invalid> {
    match why {
        None => Ok(NO_REASON.to_owned()),
        Some(why) => text(why, "why", LONGEST_REASON),
    }
}

/// A text that is kept for ever: not empty, not endless.
pub(crate) fn text(text: String, param: &str, longest: usize) -> Result<String, Invalid> {
    if text.trim().is_empty() || text.chars().count() > longest || text.contains(char::is_control) {
        let message =
            format!("Invalid '{param}': expected 1 to {longest} characters, none of them a control character.");
        return Err(Invalid::new("invalid_value", param, message));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[u8]) -> Result<Actor, Invalid> {
        let value = axum::http::HeaderValue::from_bytes(value).unwrap();
        Actor::of(&HeaderMap::from_iter([(axum::http::HeaderName::from_static(HEADER), value)]))
    }

    #[test]
    fn an_actor_is_named_or_the_operator() {
        assert_eq!(Actor::of(&HeaderMap::new()).unwrap().0, "admin");
        assert_eq!(of(b" billing-service ").unwrap().0, "billing-service");
        for bad in [&b""[..], b"  ", &[b'x'; 101], "é".as_bytes()] {
            assert!(of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_reason_is_a_text_of_some_length() {
        assert_eq!(reason(None).unwrap(), NO_REASON);
        assert_eq!(reason(Some("ticket 7".into())).unwrap(), "ticket 7");
        for bad in ["", " ", "a\nb", "a\0b", &"x".repeat(501)] {
            assert!(reason(Some(bad.into())).is_err(), "{bad:?}");
        }
    }
}
