//! `/admin/v1`: what an operator does to accounts, keys, credits and prices. Each change is a command to the ledger and an event
//! in its books, with who did it (`x-layers-actor`) and why; the answer names the event's position.
//!
//! There is no admin API without `LAYERS_ADMIN_KEY`. With `LAYERS_ADMIN_LISTEN` it has a port of its own, so that the
//! clients' port cannot reach it.

mod accounts;
mod actor;
mod body;
mod credits;
mod keys;
mod page;
mod prices;

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use self::actor::Actor;
use crate::address::ClientAddress;
use crate::edge::Edge;
use crate::entrance::{bearer, count};
use crate::error::Error;
use crate::routes::wrong_method;

type Route = (&'static str, fn() -> MethodRouter<Edge>);

const ROUTES: [Route; 9] = [
    ("/admin/v1/accounts", || get(accounts::list).post(accounts::open)),
    ("/admin/v1/accounts/{account_id}", || get(accounts::show)),
    ("/admin/v1/accounts/{account_id}/tier", || post(accounts::set_tier)),
    ("/admin/v1/accounts/{account_id}/credits", || post(credits::add)),
    ("/admin/v1/accounts/{account_id}/adjustments", || post(credits::adjust)),
    ("/admin/v1/accounts/{account_id}/keys", || get(keys::list).post(keys::issue)),
    ("/admin/v1/keys/{api_key_id}/revoke", || post(keys::revoke)),
    ("/admin/v1/prices", || get(prices::show).post(prices::publish)),
    ("/admin/v1/margins", || post(prices::set_margins)),
];

/// A command that is decided at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// A revocation waits for every gateway to refuse the key, or to be fenced.
const REVOCATION_PATIENCE: Duration = Duration::from_secs(30);

/// Every path that is answered.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(path, _)| *path)
}

/// The routes, behind their own entrance. Without an operator's key there are none.
pub fn router(edge: &Edge) -> Router<Edge> {
    if !edge.has_admin_key() {
        return Router::new();
    }
    let router = ROUTES.iter().fold(Router::new(), |router, (path, method)| router.route(path, method()));
    router.method_not_allowed_fallback(wrong_method).route_layer(from_fn_with_state(edge.clone(), admit))
}

/// Lets the operator in, and nobody else.
async fn admit(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let client = request.extensions().get::<ClientAddress>().copied();
    match authenticate(&edge, request.headers(), client)
        .and_then(|()| Actor::of(request.headers()).map_err(Error::from))
    {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn authenticate(edge: &Edge, headers: &HeaderMap, client: Option<ClientAddress>) -> Result<(), Error> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let key = given.next().and_then(|authorization| bearer(authorization.to_str().ok()?));
    match (key, given.next()) {
        (Some(key), None) if edge.is_admin_key(key.as_bytes()) => Ok(()),
        _ if client.is_some_and(|client| edge.failures().too_many(client)) => Err(Error::TooManyFailures),
        _ => {
            count(edge, client, &Error::NotAdmin);
            Err(Error::NotAdmin)
        }
    }
}
