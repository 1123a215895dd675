//! Which path is answered by what. Every route needs a key but those in [`OPEN`].

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::edge::Edge;
use crate::error::Error;
use crate::{chat, credits, entrance, health, metrics, models, request_id};

/// Routes without a key, as they are asked for.
pub const OPEN: [&str; 2] = ["/health", "/metrics"];

type Route = (&'static str, fn() -> MethodRouter<Edge>);

/// The API, under `/v1` and without it: SDKs whose base URL lacks `/v1` work as well.
const API: [Route; 4] = [
    ("/chat/completions", || post(chat::complete)),
    ("/models", || get(models::list)),
    ("/models/{*id}", || get(models::one)),
    ("/credits", || get(credits::show)),
];

/// Every path that is answered.
pub fn paths() -> impl Iterator<Item = String> {
    let api = API.iter().flat_map(|(path, _)| [format!("/v1{path}"), (*path).to_owned()]);
    api.chain(OPEN.map(str::to_owned))
}

/// All routes, with what stands before them.
pub fn router(edge: Edge) -> Router {
    let mut router = Router::new().route(OPEN[0], get(health::show)).route(OPEN[1], get(metrics::show));
    for (path, method) in API {
        router = router.route(&format!("/v1{path}"), method()).route(path, method());
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(edge.clone(), entrance::admit))
        .fallback(unknown)
        .layer(map_response(in_our_words))
        .layer(from_fn_with_state(edge.clone(), request_id::assign))
        .with_state(edge)
}

async fn unknown(request: Request) -> Error {
    Error::UnknownRoute { asked: asked(&request, " ") }
}

async fn wrong_method(request: Request) -> Error {
    Error::WrongMethod { asked: asked(&request, " on ") }
}

/// `POST /v1/nope`, shortened: it stands in an answer.
fn asked(request: &Request, between: &str) -> String {
    const LONGEST: usize = 200;
    let path: String = request.uri().path().chars().take(LONGEST).collect();
    format!("{}{between}{path}", request.method())
}

/// What the framework refuses by itself, such as a path that is no text, looks like everything else.
async fn in_our_words(response: Response) -> Response {
    let ours = response.status().as_u16() < 400 || response.headers().contains_key(axum::http::header::CONTENT_TYPE);
    let plain = response
        .headers()
        .get(axum::http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status().as_u16() < 400 || (ours && !plain) {
        return response;
    }
    Error::UnknownRoute { asked: "the path cannot be read".into() }.into_response()
}
