//! A session is a cookie and nothing else: who signed in, until when, and a seal (HMAC-SHA-256) that only gateways can make. It holds
//! no key: an account's session has the SHA-256 of the key that opened it, by which the key is looked up again at each request and by
//! which nobody is let in anywhere; an operator's is sealed with the operator's key, so another key ends it.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::hmac;
use schemas::api_key::KeyHash;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::secret::HashedSecret;

/// Whoever goes on looking stays signed in for so long.
pub(super) const LONGEST: Duration = Duration::from_secs(LONGEST_SECONDS.unsigned_abs());
const LONGEST_SECONDS: i64 = 12 * 60 * 60;

/// Who signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    /// An account, by one of its keys.
    Key(KeyHash),
    /// The operator.
    Operator,
}

/// What the cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    id: Uuid,
    who: Who,
    /// Seconds since 1970.
    began: i64,
    /// Seconds since 1970.
    ends: i64,
}

impl Session {
    pub(super) fn new(id: Uuid, who: Who, now: DateTime<Utc>, lasts: TimeDelta) -> Self {
        let began = now.timestamp();
        Self { id, who, began, ends: began.saturating_add(lasts.num_seconds().min(LONGEST_SECONDS)) }
    }

    pub(super) fn id(self) -> Uuid {
        self.id
    }

    pub(super) fn who(self) -> Who {
        self.who
    }

    /// Seconds that are left of it.
    pub(super) fn left(self, now: DateTime<Utc>) -> i64 {
        self.ends.saturating_sub(now.timestamp()).max(0)
    }

    /// The same with an end further away, once half of its time is over.
    pub(super) fn renewed(self, now: DateTime<Utc>, lasts: TimeDelta) -> Option<Self> {
        let last = self.began.saturating_add(LONGEST_SECONDS);
        let ends = now.timestamp().saturating_add(lasts.num_seconds()).min(last);
        (self.left(now) < lasts.num_seconds() / 2 && ends > self.ends).then_some(Self { ends, ..self })
    }
}

/// What seals sessions and the tokens of their forms.
pub(super) struct Seal {
    accounts: hmac::Key,
    operators: Option<hmac::Key>,
    forms: hmac::Key,
}

impl Seal {
    pub(super) fn new(secret: &[u8; 32], admin_key: Option<HashedSecret>) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |purpose: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose).as_ref());
        Self {
            accounts: derive(b"sessions of accounts"),
            operators: admin_key.map(|key| derive(&[b"sessions of operators", &key.bytes()[..]].concat())),
            forms: derive(b"forms"),
        }
    }

    fn key(&self, who: Who) -> Option<&hmac::Key> {
        match who {
            Who::Key(_) => Some(&self.accounts),
            Who::Operator => self.operators.as_ref(),
        }
    }

    /// The cookie's value; none for an operator where there is no operator's key.
    pub(super) fn write(&self, session: &Session) -> Option<String> {
        let said = serde_json::to_vec(session).ok()?;
        let seal = hmac::sign(self.key(session.who)?, &said);
        Some(format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(said), BASE64_URL_SAFE_NO_PAD.encode(seal)))
    }

    /// A session whose seal is good and whose time is not over.
    pub(super) fn read(&self, cookie: &str, now: DateTime<Utc>) -> Option<Session> {
        let (said, seal) = cookie.split_once('.')?;
        let said = BASE64_URL_SAFE_NO_PAD.decode(said).ok()?;
        let seal = BASE64_URL_SAFE_NO_PAD.decode(seal).ok()?;
        // By which key it is sealed stands in it; the seal decides.
        let session: Session = serde_json::from_slice(&said).ok()?;
        hmac::verify(self.key(session.who)?, &said, &seal).ok()?;
        (session.left(now) > 0 && session.began <= now.timestamp().saturating_add(60)).then_some(session)
    }

    /// What a form of this session brings back.
    pub(super) fn token(&self, session: &Session) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&self.forms, session.id.as_bytes()))
    }

    /// Whether a form is of this session.
    pub(super) fn is_token(&self, session: &Session, token: &str) -> bool {
        let token = BASE64_URL_SAFE_NO_PAD.decode(token).ok();
        token.is_some_and(|token| hmac::verify(&self.forms, session.id.as_bytes(), &token).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: TimeDelta = TimeDelta::hours(1);

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn seal(admin: &str) -> Seal {
        Seal::new(&[7; 32], Some(HashedSecret::of(admin)))
    }

    fn of_a_key() -> Session {
        Session::new(Uuid::from_u128(1), Who::Key(KeyHash([3; 32])), now(), HOUR)
    }

    fn of_an_operator() -> Session {
        Session::new(Uuid::from_u128(2), Who::Operator, now(), HOUR)
    }

    #[test]
    fn a_session_is_believed_as_it_was_sealed_and_not_otherwise() {
        let seal = seal("a");
        for session in [of_a_key(), of_an_operator()] {
            let cookie = seal.write(&session).unwrap();
            assert_eq!(seal.read(&cookie, now()), Some(session));
            // No letter can be another one.
            for index in 0..cookie.len() {
                let mut changed = cookie.clone().into_bytes();
                changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert!(changed == cookie || seal.read(&changed, now()).is_none(), "{changed}");
            }
            for none in ["", ".", "a.b", cookie.split('.').next().unwrap()] {
                assert!(seal.read(none, now()).is_none(), "{none}");
            }
        }
    }

    #[test]
    fn who_was_let_in_by_a_key_is_no_operator_and_another_operators_key_ends_sessions() {
        let cookie = seal("a").write(&of_an_operator()).unwrap();
        assert!(seal("b").read(&cookie, now()).is_none());
        let without = Seal::new(&[7; 32], None);
        assert!(without.read(&cookie, now()).is_none() && without.write(&of_an_operator()).is_none());
        // An account's seal on an operator's words.
        let said = serde_json::to_vec(&of_an_operator()).unwrap();
        let forged = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(&said),
            BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&seal("a").accounts, &said))
        );
        assert!(seal("a").read(&forged, now()).is_none());
        assert!(
            Seal::new(&[8; 32], None).read(&seal("a").write(&of_a_key()).unwrap(), now()).is_none(),
            "a secret each"
        );
    }

    #[test]
    fn a_session_ends_and_goes_on_while_it_is_used_but_not_for_ever() {
        let seal = seal("a");
        let cookie = seal.write(&of_a_key()).unwrap();
        assert!(seal.read(&cookie, now() + HOUR - TimeDelta::seconds(1)).is_some());
        assert!(seal.read(&cookie, now() + HOUR).is_none());
        assert!(seal.read(&cookie, now() - HOUR).is_none(), "it has not begun");
        assert_eq!(of_a_key().renewed(now() + TimeDelta::minutes(29), HOUR), None);
        let mut session = of_a_key();
        let mut time = now();
        while let Some(renewed) = session.renewed(time + TimeDelta::minutes(45), HOUR) {
            time += TimeDelta::minutes(45);
            session = renewed;
        }
        assert_eq!(session.ends, now().timestamp() + 12 * 3600);
    }

    #[test]
    fn a_token_is_of_one_session() {
        let (seal, one, other) = (seal("a"), of_a_key(), of_an_operator());
        assert!(seal.is_token(&one, &seal.token(&one)));
        for wrong in ["", "x", &seal.token(&other)] {
            assert!(!seal.is_token(&one, wrong), "{wrong}");
        }
    }

    #[test]
    fn no_key_is_in_a_cookie() {
        let secret = schemas::api_key::Secret::from_random(true, &[9; 32]);
        let session = Session::new(Uuid::from_u128(1), Who::Key(secret.hash()), now(), HOUR);
        let cookie = seal("a").write(&session).unwrap();
        let said = BASE64_URL_SAFE_NO_PAD.decode(cookie.split('.').next().unwrap()).unwrap();
        assert!(!String::from_utf8(said).unwrap().contains(&secret.reveal()[9..]));
    }
}
