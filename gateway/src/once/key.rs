use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::error::Invalid;
use crate::paid::Sale;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// As it is written to people.
const NAME: &str = "Idempotency-Key";
/// Characters. UUIDs have 36.
const LONGEST: usize = 255;

/// The SHA-256 of a client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) [u8; 32]);

/// The SHA-256 of what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked(pub(super) [u8; 32]);

impl Key {
    /// The key of a request; `None` where it brings none.
    ///
    /// # Errors
    /// When it brings two, or one that is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Invalid> {
        let mut given = headers.get_all(HEADER).iter();
        let Some(key) = given.next() else { return Ok(None) };
        let refused = |why: &str| {
            let message = format!("Invalid '{NAME}' header: {why}.");
            Err(Invalid::new("invalid_idempotency_key", NAME, message))
        };
        if given.next().is_some() {
            return refused("it is there twice");
        }
        match key.to_str() {
            Err(_) => refused("it has characters other than visible ASCII"),
            Ok(key) if key.trim().is_empty() => refused("it is empty"),
            Ok(key) if key.len() > LONGEST => refused(&format!("it is longer than {LONGEST} characters")),
            Ok(key) => Ok(Some(Self(Sha256::digest(key).into()))),
        }
    }
}

/// What a body asks of a route: with and without `/v1` it is the same.
pub(super) fn asked(sale: &Sale, body: &[u8]) -> Asked {
    let mut hash = Sha256::new();
    hash.update(sale.route.api().path());
    // No path has a zero, so it ends here.
    hash.update([0, u8::from(sale.tells_layers)]);
    hash.update(body);
    Asked(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::chat::CHAT;
    use crate::responses::RESPONSES;

    fn of(keys: &[&[u8]]) -> Result<Option<Key>, Invalid> {
        let mut headers = HeaderMap::new();
        for key in keys {
            headers.append(HEADER, HeaderValue::from_bytes(key).unwrap());
        }
        Key::of(&headers)
    }

    #[test]
    fn a_key_is_one_text_of_up_to_255_characters() {
        assert_eq!(of(&[]), Ok(None));
        let longest = [b'k'; LONGEST];
        let good: Vec<_> =
            [&b"a"[..], b"order 7", &longest].into_iter().map(|key| of(&[key]).unwrap().unwrap()).collect();
        assert!(good[0] != good[1] && good[1] != good[2] && of(&[b"a"]) == Ok(Some(good[0])));
        for bad in [&[&b""[..]][..], &[b"  "], &[&[b'k'; LONGEST + 1]], &["schlüssel".as_bytes()], &[b"a", b"a"]] {
            let invalid = of(bad).unwrap_err();
            assert_eq!(
                (invalid.code, invalid.param.as_deref()),
                (Some("invalid_idempotency_key"), Some(NAME)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn what_is_asked_is_route_and_body() {
        let chat = Sale { route: &CHAT, tells_layers: false };
        let others = [
            asked(&Sale { tells_layers: true, ..chat }, b"{}"),
            asked(&Sale { route: &RESPONSES, ..chat }, b"{}"),
            asked(&chat, b"{ }"),
        ];
        assert_eq!(asked(&chat, b"{}"), asked(&chat, b"{}"));
        assert!(!others.contains(&asked(&chat, b"{}")));
    }
}
