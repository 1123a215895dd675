//! Signing in with a key, and out. The key comes in the body of a form, is looked up or compared, and is forgotten: it is in no
//! address, no log and no cookie.

use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::Utc;
use maud::{Markup, html};
use serde::Deserialize;
use uuid::Uuid;

use super::answer::{self, Refusal, see_other};
use super::entrance::{cookie, lasts, no_cookie, session};
use super::form::Form;
use super::session::{Session, Who};
use super::visitor::{Operators, Visitor};
use super::{PATH as CONSOLE, layout};
use crate::address::ClientAddress;
use crate::edge::Edge;
use crate::entrance::count;
use crate::error::Error;
use crate::till::NotAuthenticated;

pub(super) const PATH: &str = "/console/sign-in";
/// Where a session leads that is over.
pub(super) const OVER: &str = "/console/sign-in?over=1";
pub(super) const LEDGER_AWAY: &str =
    "Keys cannot be looked up now, since the ledger does not answer. Try again in a moment.";

/// Forgets what browsers keep of the pages, where they do at all.
const CLEAR: (HeaderName, HeaderValue) =
    (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));

#[derive(Deserialize)]
pub(super) struct Asked {
    /// The session before is over.
    over: Option<String>,
}

/// `GET /console/sign-in`.
pub(super) async fn ask(State(edge): State<Edge>, headers: HeaderMap, query: Query<Asked>) -> Response {
    let signed_in = edge.console().and_then(|console| session(console, &headers, Utc::now()));
    if signed_in.is_some() && query.over.is_none() {
        return see_other(CONSOLE);
    }
    let note = query.over.is_some().then_some("Your session is over. Please sign in again.");
    answer::page(StatusCode::OK, form(note, false))
}

/// `POST /console/sign-in`.
pub(super) async fn sign_in(
    State(edge): State<Edge>,
    Extension(operators): Extension<Operators>,
    client: Option<Extension<ClientAddress>>,
    request: Request,
) -> Result<Response, Refusal> {
    let console = edge.console().ok_or(Refusal::NotFound)?;
    let client = client.map(|Extension(client)| client);
    let asked = Form::read(State(edge.clone()), request).await?;
    let Some(secret) = asked.text("key") else {
        return Ok(answer::page(StatusCode::BAD_REQUEST, form(Some("Enter a key to sign in."), true)));
    };
    let who = match who(&edge, operators, client, secret).await {
        Ok(who) => who,
        Err((status, why)) => return Ok(answer::page(status, form(Some(why), true))),
    };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Refusal::Broken("There are no random numbers."))?;
    let now = Utc::now();
    let session = Session::new(Uuid::from_bytes(id), who, now, lasts(console));
    let cookie =
        cookie(console, &session, client, now).ok_or(Refusal::Broken("The session cannot be written down."))?;
    let mut response = see_other(CONSOLE);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

/// Whose key this is. Wrong ones are counted with those of the API, by address.
async fn who(
    edge: &Edge,
    operators: Operators,
    client: Option<ClientAddress>,
    secret: &str,
) -> Result<Who, (StatusCode, &'static str)> {
    const TOO_MANY: &str = "Too many wrong keys came from your address. Try again in a minute.";
    if operators.0 && edge.is_admin_key(secret.as_bytes()) {
        return Ok(Who::Operator);
    }
    let hash = schemas::api_key::Secret::parse(secret).map(|secret| secret.hash());
    if client.is_some_and(|client| edge.failures().too_many(client)) {
        let known = edge.till().authenticate_known(secret).await.and(hash);
        return known.map(Who::Key).ok_or((StatusCode::TOO_MANY_REQUESTS, TOO_MANY));
    }
    let error = match (edge.till().authenticate(secret).await, hash) {
        (Ok(_), Some(hash)) => return Ok(Who::Key(hash)),
        (Ok(_), None) => NotAuthenticated::Malformed,
        (Err(error), _) => error,
    };
    count(edge, client, &Error::of_key(secret, &error));
    Err(match error {
        NotAuthenticated::Malformed | NotAuthenticated::Unknown => {
            (StatusCode::UNAUTHORIZED, "No such key. Check that you copied all of it.")
        }
        NotAuthenticated::Revoked => (StatusCode::UNAUTHORIZED, "This key was revoked. Use another one."),
        NotAuthenticated::Expired => (StatusCode::UNAUTHORIZED, "This key has expired. Use another one."),
        NotAuthenticated::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, LEDGER_AWAY),
    })
}

/// `POST /console/sign-out`.
pub(super) async fn sign_out(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    client: Option<Extension<ClientAddress>>,
    request: Request,
) -> Result<Response, Refusal> {
    Form::of(&edge, &visitor, request).await?;
    if let Some(console) = edge.console() {
        console.ended.insert(visitor.session.id(), ());
    }
    let mut response = see_other(PATH);
    response
        .headers_mut()
        .extend(no_cookie(client.map(|Extension(client)| client)).map(|cookie| (header::SET_COOKIE, cookie)));
    response.headers_mut().extend([CLEAR]);
    Ok(response)
}

fn form(note: Option<&str>, is_wrong: bool) -> Markup {
    let content = html! {
        div.sign-in.card {
            h1 { "Sign in" }
            p { "With an API key you see its account: credits, usage, requests and keys." }
            form method="post" action=(PATH) {
                label for="key" { "API key" }
                input #key type="password" name="key" autocomplete="current-password" autocapitalize="none" spellcheck="false"
                    required autofocus aria-describedby=[note.map(|_| "note")] aria-invalid=[is_wrong.then_some("true")];
                @if let Some(note) = note {
                    p #note.note.wrong[is_wrong] role=[is_wrong.then_some("alert")] { (note) }
                }
                button type="submit" { "Sign in" }
            }
            p.small { "The key is checked and forgotten. The session ends by itself, or when the key is revoked." }
        }
    };
    layout::outside("Sign in", content)
}
