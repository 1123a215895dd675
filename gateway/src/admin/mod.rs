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
use axum::routing::{get, post};
use schemas::message::{
    AccountOpenedReply, AccountReply, CreditsAdjustedReply, CreditsReply, KeyReply, KeyRevokedReply, PriceBookReply,
    TierReply,
};

use self::actor::Actor;
pub(crate) use self::actor::text as written;
pub(crate) use self::keys::new_secret;
use self::page::{Page, Wanted};
use crate::address::ClientAddress;
use crate::edge::Edge;
use crate::entrance::{bearer, count};
use crate::error::Error;
use crate::openapi::{Operation, Row};
use crate::routes::wrong_method;

pub(crate) const ROUTES: [Row; 9] = [
    Row {
        path: "/admin/v1/accounts",
        handlers: || get(accounts::list).post(accounts::open),
        operations: &[
            Operation::get("Accounts, in the order in which they were opened")
                .asks::<Wanted>()
                .gives::<Page<AccountReply>>(),
            Operation::post("Opens an account and its sandbox").takes::<accounts::Open>().gives::<AccountOpenedReply>(),
        ],
    },
    Row {
        path: "/admin/v1/accounts/{account_id}",
        handlers: || get(accounts::show),
        operations: &[Operation::get("An account as it is now").gives::<AccountReply>()],
    },
    Row {
        path: "/admin/v1/accounts/{account_id}/tier",
        handlers: || post(accounts::set_tier),
        operations: &[Operation::post("Changes an account's tier")
            .takes::<accounts::ChangeTier>()
            .gives::<TierReply>()],
    },
    Row {
        path: "/admin/v1/accounts/{account_id}/credits",
        handlers: || post(credits::add),
        operations: &[Operation::post("Adds credits").takes::<credits::Movement>().gives::<CreditsReply>()],
    },
    Row {
        path: "/admin/v1/accounts/{account_id}/adjustments",
        handlers: || post(credits::adjust),
        operations: &[Operation::post("Gives or takes credits as a correction")
            .takes::<credits::Adjustment>()
            .gives::<CreditsAdjustedReply>()],
    },
    Row {
        path: "/admin/v1/accounts/{account_id}/keys",
        handlers: || get(keys::list).post(keys::issue),
        operations: &[
            Operation::get("An account's keys, in the order in which they were issued")
                .asks::<Wanted>()
                .gives::<Page<KeyReply>>(),
            Operation::post("Issues a key and shows its secret, once").takes::<keys::Issue>().gives::<keys::Issued>(),
        ],
    },
    Row {
        path: "/admin/v1/keys/{api_key_id}/revoke",
        handlers: || post(keys::revoke),
        operations: &[Operation::post("Revokes a key; answers when every gateway refuses it")
            .takes::<keys::Revoke>()
            .gives::<KeyRevokedReply>()],
    },
    Row {
        path: "/admin/v1/prices",
        handlers: || get(prices::show).post(prices::publish),
        operations: &[
            Operation::get("The prices in force").gives::<PriceBookReply>(),
            Operation::post("Publishes a catalogue as the next version of the prices")
                .takes::<prices::Publish>()
                .gives::<PriceBookReply>(),
        ],
    },
    Row {
        path: "/admin/v1/margins",
        handlers: || post(prices::set_margins),
        operations: &[Operation::post("Publishes the prices in force with other margins, as the next version")
            .takes::<prices::Margins>()
            .gives::<PriceBookReply>()],
    },
];

/// A command that is decided at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// A revocation waits for every gateway to refuse the key, or to be fenced.
pub(crate) const REVOCATION_PATIENCE: Duration = Duration::from_secs(30);

/// Every path that is answered.
pub fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|route| route.path)
}

/// The routes, behind their own entrance. Without an operator's key there are none.
pub fn router(edge: &Edge) -> Router<Edge> {
    if !edge.has_admin_key() {
        return Router::new();
    }
    let router = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handlers)()));
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
