//! Who asks, and how often they may: the layer before every route that is not open.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::address::ClientAddress;
use crate::edge::Edge;
use crate::error::Error;
use crate::routes::is_open;
use crate::till::{Admission, Caller};

const TEST_MODE: HeaderName = HeaderName::from_static("x-layers-test-mode");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-requests");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-requests");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-requests");

/// Lets callers in whose key is good and whose limit is not reached, and tells them about it.
pub async fn admit(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let open = request.extensions().get::<MatchedPath>().is_some_and(|path| is_open(path.as_str()));
    if open {
        return next.run(request).await;
    }
    let client = request.extensions().get::<ClientAddress>().copied();
    let caller = match authenticate(&edge, request.headers(), client).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let admission = edge.till().admit(&caller);
    let mut response = match admission.refused {
        Some(retry_after) => Error::RateLimited { limit: admission.limit, retry_after }.into_response(),
        None => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
    };
    tell(&admission, response.headers_mut());
    response
}

async fn authenticate(edge: &Edge, headers: &HeaderMap, client: Option<ClientAddress>) -> Result<Caller, Error> {
    let Some(given) = given(headers) else { return without_key(edge, headers).await };
    let secret = given?;
    // Only a key that is known to be good is let in from where too many wrong ones come.
    if client.is_some_and(|client| edge.failures().too_many(client)) {
        return edge.till().authenticate_known(secret).await.ok_or(Error::TooManyFailures);
    }
    edge.till().authenticate(secret).await.map_err(|error| {
        let error = Error::of_key(secret, &error);
        count(edge, client, &error);
        error
    })
}

/// What a guess comes to. A key that was good once is none, and a ledger that is away says nothing about a key.
pub(crate) fn count(edge: &Edge, client: Option<ClientAddress>, error: &Error) {
    if let (Some(client), Error::BadKey { .. } | Error::NotAdmin) = (client, error) {
        edge.failures().count(client);
    }
}

/// The key that a request brings: OpenAI's clients send a bearer token, Anthropic's a header of its own. `None` without one.
pub(crate) fn given(headers: &HeaderMap) -> Option<Result<&str, Error>> {
    let (bearers, keys) = (headers.get_all(header::AUTHORIZATION), headers.get_all(API_KEY));
    let mut secrets = bearers.iter().map(|value| value.to_str().ok().and_then(bearer));
    let mut keys = keys.iter().map(|value| value.to_str().ok().map(str::trim));
    let (bearer, key) = (secrets.next(), keys.next());
    let first = bearer.or(key)?;
    let Some(secret) = first.filter(|secret| !secret.is_empty()) else { return Some(Err(Error::NoKey)) };
    // Which of two keys pays is not for us to choose.
    let another = key.is_some_and(|key| key != Some(secret)) || secrets.next().is_some() || keys.next().is_some();
    Some(if another { Err(Error::BadKey { shown: "***".into() }) } else { Ok(secret) })
}

async fn without_key(edge: &Edge, headers: &HeaderMap) -> Result<Caller, Error> {
    let Some(secret) = headers.get(TEST_MODE) else { return Err(Error::NoKey) };
    if !edge.is_test_secret(secret.as_bytes()) {
        return Err(Error::NoKey);
    }
    edge.till().test_mode_caller().await.map_err(|error| Error::of_key("", &error))
}

/// The token of `Bearer <token>`; the scheme's case is free (RFC 9110).
pub(crate) fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn tell(admission: &Admission, headers: &mut HeaderMap) {
    headers.insert(LIMIT, HeaderValue::from(admission.limit));
    headers.insert(REMAINING, HeaderValue::from(admission.remaining));
    if let Ok(reset) = HeaderValue::from_str(&span(admission.reset)) {
        headers.insert(RESET, reset);
    }
}

/// A time as OpenAI writes it: `12ms`, `1s`, `6m0s`.
fn span(time: Duration) -> String {
    let (seconds, milliseconds) = (time.as_secs(), time.subsec_millis());
    match (seconds / 60, seconds % 60) {
        (0, 0) => format!("{milliseconds}ms"),
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemes_case_is_free() {
        assert_eq!(bearer("Bearer lyr_x"), Some("lyr_x"));
        assert_eq!(bearer("bearer  lyr_x "), Some("lyr_x"));
        assert_eq!(bearer("Basic eA=="), None);
        assert_eq!(bearer("lyr_x"), None);
    }

    #[test]
    fn one_key_is_taken_and_no_choice_is_made_between_two() {
        let given = |pairs: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            let headers = pairs.iter().map(pair).fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            });
            super::given(&headers).map(|given| given.map(str::to_owned))
        };
        assert!(given(&[]).is_none());
        for good in [
            &[("authorization", "Bearer a")][..],
            &[("x-api-key", "a")],
            &[("x-api-key", "a"), ("authorization", "bearer a")],
        ] {
            assert!(matches!(given(good), Some(Ok(key)) if key == "a"), "{good:?}");
        }
        assert!(matches!(given(&[("x-api-key", "")]), Some(Err(Error::NoKey))));
        for two in [
            &[("authorization", "Bearer a"), ("x-api-key", "b")][..],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[("x-api-key", "a"), ("x-api-key", "a")],
        ] {
            assert!(matches!(given(two), Some(Err(Error::BadKey { .. }))), "{two:?}");
        }
    }

    #[test]
    fn times_are_written_as_openai_writes_them() {
        let written = [12, 1_000, 59_999, 360_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(written, ["12ms", "1s", "59s", "6m0s"]);
    }
}
