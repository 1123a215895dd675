//! Which path is answered by what. Every route needs a key but those in [`OPEN`].

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::chat::CHAT;
use crate::edge::Edge;
use crate::embeddings::EMBEDDINGS;
use crate::error::{Dialect, Error, Face};
use crate::images::IMAGES;
use crate::log::{public, receipt};
use crate::messages::MESSAGES;
use crate::paid::Sale;
use crate::request_id::Arrival;
use crate::responses::RESPONSES;
use crate::{credits, entrance, health, metrics, models, paid, request_id};

/// Routes without a key, by their patterns.
pub const OPEN: [&str; 4] = ["/health", "/metrics", "/ledger/checkpoint", "/ledger/tile/{level}/{*place}"];

type Route = (&'static str, fn() -> MethodRouter<Edge>);

/// The API, under `/v1` and without it: SDKs whose base URL lacks `/v1` work as well.
const API: &[Route] = &[
    ("/chat/completions", || paid(&CHAT)),
    ("/responses", || paid(&RESPONSES)),
    ("/embeddings", || paid(&EMBEDDINGS)),
    ("/images/generations", || paid(&IMAGES)),
    ("/messages", || paid(&MESSAGES)),
    ("/models", || get(models::list)),
    ("/models/{*id}", || get(models::one)),
    ("/credits", || get(credits::show)),
    ("/receipts/{request_id}", || get(receipt::show)),
];

/// The routes of the original Layers, where they always were.
const ORIGINAL: &[Route] = &[
    ("/api/v1/chat", || original(&CHAT)),
    ("/api/v1/chat/completions", || original(&CHAT)),
    ("/api/v1/image", || original(&IMAGES)),
    ("/api/v1/models", || get(models::list)),
    ("/api/v1/models/{*id}", || get(models::one)),
];

/// A route that costs money.
fn paid(route: &'static dyn paid::Route) -> MethodRouter<Edge> {
    sold(Sale { route, tells_layers: false })
}

/// The same with the words that clients of the original Layers read.
fn original(route: &'static dyn paid::Route) -> MethodRouter<Edge> {
    sold(Sale { route, tells_layers: true })
}

fn sold(sale: Sale) -> MethodRouter<Edge> {
    post(move |edge, arrival, caller, request| paid::answer(sale, edge, arrival, caller, request))
}

/// Every path that is answered.
pub fn paths() -> impl Iterator<Item = String> {
    let api = API.iter().flat_map(|(path, _)| [format!("/v1{path}"), (*path).to_owned()]);
    api.chain(ORIGINAL.iter().map(|(path, _)| (*path).to_owned())).chain(OPEN.map(str::to_owned))
}

/// All routes, with what stands before them.
pub fn router(edge: Edge) -> Router {
    let mut router = Router::new()
        .route(OPEN[0], get(health::show))
        .route(OPEN[1], get(metrics::show))
        .route(OPEN[2], get(public::checkpoint))
        .route(OPEN[3], get(public::tile));
    for (path, method) in API {
        router = router.route(&format!("/v1{path}"), method()).route(path, method());
    }
    for (path, method) in ORIGINAL {
        router = router.route(path, method());
    }
    router
        .method_not_allowed_fallback(wrong_method)
        .route_layer(from_fn_with_state(edge.clone(), entrance::admit))
        .fallback(unknown)
        .layer(map_response(in_our_words))
        .layer(from_fn(in_their_dialect))
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
    let ours = response.status().as_u16() < 400 || response.headers().contains_key(header::CONTENT_TYPE);
    let plain =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status().as_u16() < 400 || (ours && !plain) {
        return response;
    }
    Error::UnknownRoute { asked: "the path cannot be read".into() }.into_response()
}

/// An error looks as the clients of its path expect it to.
async fn in_their_dialect(request: Request, next: Next) -> Response {
    let dialect = Dialect::of_path(request.uri().path());
    let arrival = request.extensions().get::<Arrival>().copied();
    let mut response = next.run(request).await;
    if dialect != Dialect::OpenAi
        && let Some(face) = response.extensions().get::<Arc<Face>>().cloned()
        && let Some(arrival) = arrival
    {
        *response.body_mut() = dialect.body(&face, &arrival.id).into();
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, StatusCode};
    use http_body_util::BodyExt;
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use serde_json::Value;

    use super::*;
    use crate::config::Config;
    use crate::till::{Till, TillConfig};

    /// A gateway that nobody answers: no ledger, no provider, no database.
    async fn alone() -> TowerToHyperService<Router> {
        let config = Config::read(|name| (name == "NATS_URL").then(|| "nats://127.0.0.1:1".to_owned())).unwrap();
        let till = Till::open(TillConfig::new(&config.nats_url, config.cell.clone())).await.unwrap();
        TowerToHyperService::new(router(Edge::new(&config, till).unwrap()))
    }

    async fn ask(
        service: &TowerToHyperService<Router>,
        method: &Method,
        path: &str,
    ) -> (StatusCode, Option<String>, Value) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
        let status = response.status();
        let id = response.headers().get("x-request-id").map(|id| id.to_str().unwrap().to_owned());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, id, serde_json::from_slice(&body).unwrap_or_default())
    }

    fn is_an_error(body: &Value) -> bool {
        let members = ["message", "type", "param", "code"];
        body["error"].as_object().is_some_and(|error| members.iter().all(|member| error.contains_key(*member)))
    }

    #[tokio::test]
    async fn no_route_is_open_that_is_not_listed() {
        let service = alone().await;
        let methods = [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS];
        for pattern in paths() {
            let path = pattern
                .replace("{*id}", "anthropic%2Fclaude-haiku-4.5")
                .replace("{request_id}", "0190b2a4-0000-7000-8000-000000000001")
                .replace("{level}/{*place}", "0/x001/234.p/5");
            assert!(!path.contains('{'), "{pattern}");
            for method in &methods {
                let (status, id, body) = ask(&service, method, &path).await;
                assert!(id.is_some_and(|id| uuid::Uuid::parse_str(&id).is_ok()), "{method} {path}");
                if OPEN.contains(&pattern.as_str()) {
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                } else {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                    assert!(is_an_error(&body), "{method} {path}: {body}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_in_the_apis_form() {
        let service = alone().await;
        for (method, path, status) in [
            (Method::POST, "/v1/nope", StatusCode::NOT_FOUND),
            (Method::GET, "/", StatusCode::NOT_FOUND),
            (Method::POST, "/health", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let (got, id, body) = ask(&service, &method, path).await;
            assert_eq!(got, status, "{path}");
            assert!(id.is_some() && is_an_error(&body), "{path}: {body}");
        }
        let (status, _, body) = ask(&service, &Method::GET, "/health").await;
        assert_eq!((status, &body["status"]), (StatusCode::SERVICE_UNAVAILABLE, &"unavailable".into()));
    }
}
