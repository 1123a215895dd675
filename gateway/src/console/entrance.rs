//! Who looks: the layer before every page but that of the sign-in.

use axum::extract::{Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta, Utc};

use super::answer::Refusal;
use super::session::{Session, Who};
use super::visitor::{Operators, Visitor};
use super::{Console, PATH, sign_in};
use crate::address::ClientAddress;
use crate::edge::Edge;
use crate::till::NotAuthenticated;

const NAME: &str = "layers_console";
/// So long a page waits for its turn.
const TURN: std::time::Duration = std::time::Duration::from_secs(3);

/// Lets in who has a session whose key still stands.
pub(super) async fn admit(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let Some(console) = edge.console() else { return Refusal::NotFound.into_response() };
    let operators = request.extensions().get::<Operators>().copied();
    let now = Utc::now();
    let visitor = match visitor(&edge, console, request.headers(), operators.is_some_and(|here| here.0), now).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal.into_response(),
    };
    let Ok(Ok(_place)) = tokio::time::timeout(TURN, console.places.acquire()).await else {
        return Refusal::Busy.into_response();
    };
    let client = request.extensions().get::<ClientAddress>().copied();
    let renewed = visitor.session.renewed(now, lasts(console)).filter(|_| request.method() == Method::GET);
    let shell = visitor.clone();
    request.extensions_mut().insert(visitor);
    let mut response = Refusal::dress(next.run(request).await, &shell);
    if let Some(cookie) = renewed.and_then(|session| cookie(console, &session, client, now)) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

async fn visitor(
    edge: &Edge,
    console: &Console,
    headers: &HeaderMap,
    operators: bool,
    now: DateTime<Utc>,
) -> Result<Visitor, Refusal> {
    let Some(session) = session(console, headers, now) else {
        return Err(if cookies(headers).next().is_some() { Refusal::SessionOver } else { Refusal::SignIn });
    };
    let caller = match session.who() {
        Who::Operator if operators => None,
        Who::Operator => return Err(Refusal::SessionOver),
        Who::Key(hash) => match edge.till().authenticate_hash(hash).await {
            Ok(caller) => Some(caller),
            Err(NotAuthenticated::Unavailable) => return Err(Refusal::Unavailable(sign_in::LEDGER_AWAY)),
            Err(_) => return Err(Refusal::SessionOver),
        },
    };
    Ok(Visitor { session, caller, token: console.seal.token(&session) })
}

/// The session that a request brings.
pub(super) fn session(console: &Console, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Session> {
    let session = cookies(headers).find_map(|cookie| console.seal.read(cookie, now));
    session.filter(|session| !console.ended.contains_key(&session.id()))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == NAME).map(|(_, value)| value)
}

/// How long a session lasts without being used.
pub(super) fn lasts(console: &Console) -> TimeDelta {
    TimeDelta::from_std(console.session).unwrap_or(TimeDelta::hours(1))
}

/// The cookie of a session: for these pages only, for no script, for no other site, and where the client speaks TLS for TLS only.
pub(super) fn cookie(
    console: &Console,
    session: &Session,
    client: Option<ClientAddress>,
    now: DateTime<Utc>,
) -> Option<HeaderValue> {
    written(&console.seal.write(session)?, session.left(now), client)
}

/// Takes the cookie away.
pub(super) fn no_cookie(client: Option<ClientAddress>) -> Option<HeaderValue> {
    written("", 0, client)
}

fn written(value: &str, seconds: i64, client: Option<ClientAddress>) -> Option<HeaderValue> {
    let secure = if client.is_some_and(|client| client.tls) { "; Secure" } else { "" };
    let cookie = format!("{NAME}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&cookie).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_these_pages_only_and_over_tls_for_tls_only() {
        let client = |tls| Some(ClientAddress { address: "127.0.0.1".parse().unwrap(), tls });
        let written = |tls| written("x", 60, client(tls)).unwrap();
        assert_eq!(written(false), "layers_console=x; Path=/console; Max-Age=60; HttpOnly; SameSite=Strict");
        assert_eq!(written(true), "layers_console=x; Path=/console; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
    }
}
