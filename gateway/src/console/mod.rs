//! `/console`: pages that show people what the API tells programs. Made on the server, without JavaScript; what they show comes from
//! the read models and from functions that a gateway may ask, never from a scan of the log.
//!
//! | phase | what happens | file |
//! |---|---|---|
//! | entrance | a signed cookie says which key opened the session; the key is looked up again at each request | `entrance`, `session`, `sign_in` |
//! | scope | an account's session sees its own account; any other id is a page that does not exist | `visitor` |
//! | read | at most so many pages at a time, on connections of their own, each query with a timeout | `reads` |
//! | show | HTML, escaped by its type; charts as SVG with the same figures in a table | `pages`, `layout`, `chart` |
//! | change | only by forms of the same origin with the session's token; commands to the ledger, as in the admin API | `form`, `pages/keys` |

mod answer;
mod asset;
mod chart;
mod entrance;
mod form;
mod layout;
mod pages;
mod parts;
mod query;
mod reads;
mod session;
mod settings;
mod show;
mod sign_in;
mod visitor;

use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, post};
use moka::sync::Cache;
use schemas::merkle::note::VerifierKey;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::reads::Reads;
use self::session::Seal;
pub use self::settings::Settings;
use crate::edge::Edge;
use crate::secret::HashedSecret;

/// Where it is served, and what its cookie is for.
pub(crate) const PATH: &str = "/console";

/// Pages that are made at the same time: whoever looks, looks slowly, and the machine is there for those who ask for answers.
const PAGES_AT_A_TIME: usize = 4;
const MOST_ENDED: u64 = 100_000;

/// What the pages are made with.
pub struct Console {
    seal: Seal,
    session: Duration,
    verifier_keys: Vec<VerifierKey>,
    reads: Option<Reads>,
    places: Semaphore,
    /// Sessions that were signed out at this gateway: their cookies are gone, and a copy of one is worth nothing here.
    ended: Cache<Uuid, ()>,
}

impl Console {
    /// Ready to show; the database is connected to when it is first asked.
    ///
    /// # Errors
    /// When the database's address makes no sense.
    pub(crate) fn open(
        settings: &Settings,
        admin_key: Option<HashedSecret>,
        database_url: Option<&str>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            seal: Seal::new(&settings.secret, admin_key),
            session: settings.session,
            verifier_keys: settings.verifier_keys.clone(),
            reads: database_url.map(Reads::open).transpose()?,
            places: Semaphore::new(PAGES_AT_A_TIME),
            ended: Cache::builder().max_capacity(MOST_ENDED).time_to_live(session::LONGEST).build(),
        })
    }
}

/// A route, and who may see it.
struct Route {
    path: &'static str,
    handlers: fn() -> MethodRouter<Edge>,
}

/// Everybody's.
const OPEN: [Route; 2] = [
    Route { path: "/console/sign-in", handlers: || get(sign_in::ask).post(sign_in::sign_in) },
    Route { path: "/console/assets/{name}", handlers: || get(asset::show) },
];

/// Those of a session.
const SIGNED_IN: [Route; 12] = [
    Route { path: "/console", handlers: || get(pages::home) },
    Route { path: "/console/", handlers: || get(pages::home) },
    Route { path: "/console/sign-out", handlers: || post(sign_in::sign_out) },
    Route { path: "/console/accounts", handlers: || get(pages::accounts::show) },
    Route { path: "/console/requests", handlers: || get(pages::requests::of_all) },
    Route { path: "/console/operations", handlers: || get(pages::operations::show) },
    Route { path: "/console/accounts/{account_id}", handlers: || get(pages::overview::show) },
    Route { path: "/console/accounts/{account_id}/requests", handlers: || get(pages::requests::of_account) },
    Route { path: "/console/accounts/{account_id}/requests/{request_id}", handlers: || get(pages::request::show) },
    Route { path: "/console/accounts/{account_id}/credits", handlers: || get(pages::credits::show) },
    Route { path: "/console/accounts/{account_id}/keys", handlers: || get(pages::keys::show).post(pages::keys::issue) },
    Route {
        path: "/console/accounts/{account_id}/keys/{api_key_id}/revoke",
        handlers: || get(pages::keys::ask_to_revoke).post(pages::keys::revoke),
    },
];

/// Every page that needs a session, by its pattern.
#[cfg(test)]
pub(crate) fn inside() -> impl Iterator<Item = &'static str> {
    SIGNED_IN.iter().map(|route| route.path)
}

/// The pages, where they are turned on. The operator's key opens them where the admin API is: `operators` says whether that is here.
pub(crate) fn router(edge: &Edge, operators: bool) -> Router<Edge> {
    if edge.console().is_none() {
        return Router::new();
    }
    let routes = |routes: &[Route]| {
        routes.iter().fold(Router::new(), |router, route| router.route(route.path, (route.handlers)()))
    };
    let inside = routes(&SIGNED_IN).route("/console/{*rest}", get(pages::nowhere));
    inside
        .route_layer(from_fn_with_state(edge.clone(), entrance::admit))
        .merge(routes(&OPEN))
        .method_not_allowed_fallback(pages::nowhere)
        .layer(axum::Extension(visitor::Operators(operators)))
}
