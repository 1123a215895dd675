//! Which path is answered by what. Every route needs a key but those in `OPEN_ROUTES`.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header;
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use schemas::receipt::Receipt;

use crate::billing::{dashboard, generation, key, usage};
use crate::chat::CHAT;
use crate::edge::Edge;
use crate::embeddings::EMBEDDINGS;
use crate::error::{Dialect, Error, Face};
use crate::images::IMAGES;
use crate::log::{public, receipt};
use crate::messages::MESSAGES;
use crate::openapi::{Operation, Row};
use crate::paid::Sale;
use crate::request_id::Arrival;
use crate::responses::RESPONSES;
use crate::{
    admin, console, credits, door, entrance, feed, health, metrics, models, once, openapi, paid, position, request_id,
};

/// Routes without a key.
pub(crate) const OPEN_ROUTES: &[Row] = &[
    Row {
        path: "/health",
        handlers: || get(health::show),
        operations: &[Operation::get("Whether this gateway can take requests now").gives::<health::Health>()],
    },
    Row {
        path: "/metrics",
        handlers: || get(metrics::show),
        operations: &[Operation::get("Counters, for Prometheus").gives_text()],
    },
    Row {
        path: "/openapi.json",
        handlers: || get(openapi::show),
        operations: &[Operation::get("The OpenAPI document")],
    },
    Row {
        path: "/ledger/checkpoint",
        handlers: || get(public::checkpoint),
        operations: &[Operation::get("The newest signed checkpoint of the log").gives_text()],
    },
    Row {
        path: "/ledger/tile/{level}/{*place}",
        handlers: || get(public::tile),
        operations: &[Operation::get("A tile of the log's Merkle tree").gives_bytes()],
    },
];

const CHATS: &[Operation] = &[Operation::post("A chat completion").takes::<openapi::ChatRequest>().streams().once()];
const MAKES_IMAGES: &[Operation] = &[Operation::post("Images").takes::<openapi::ImagesRequest>().once()];
const LISTS_MODELS: &[Operation] =
    &[Operation::get("The models that the key may ask, with their prices").gives::<models::List>()];
const SHOWS_A_MODEL: &[Operation] = &[Operation::get("A model").gives::<models::Entry>()];

/// The API, under `/v1` and without it: SDKs whose base URL lacks `/v1` work as well.
pub(crate) const API: &[Row] = &[
    Row { path: "/chat/completions", handlers: || paid(&CHAT), operations: CHATS },
    Row {
        path: "/responses",
        handlers: || paid(&RESPONSES),
        operations: &[Operation::post("A response").takes::<openapi::ResponsesRequest>().streams().once()],
    },
    Row {
        path: "/embeddings",
        handlers: || paid(&EMBEDDINGS),
        operations: &[Operation::post("Embeddings").takes::<openapi::EmbeddingsRequest>().once()],
    },
    Row { path: "/images/generations", handlers: || paid(&IMAGES), operations: MAKES_IMAGES },
    Row {
        path: "/messages",
        handlers: || paid(&MESSAGES),
        operations: &[Operation::post("A message, for Anthropic's clients")
            .takes::<openapi::MessagesRequest>()
            .streams()
            .once()],
    },
    Row { path: "/models", handlers: || get(models::list), operations: LISTS_MODELS },
    Row { path: "/models/{*id}", handlers: || get(models::one), operations: SHOWS_A_MODEL },
    Row {
        path: "/credits",
        handlers: || get(credits::show),
        operations: &[Operation::get("What the account has, or had")
            .asks::<credits::Wanted>()
            .gives::<credits::Credits>()],
    },
    Row {
        path: "/key",
        handlers: || get(key::show),
        operations: &[Operation::get("The key that asks: its limits, and what it used")
            .asks::<position::Wanted>()
            .gives::<key::Shown>()],
    },
    Row {
        path: "/generation",
        handlers: || get(generation::show),
        operations: &[Operation::get("What a request used and cost, at once")
            .asks::<generation::Wanted>()
            .gives::<generation::Shown>()],
    },
    Row {
        path: "/usage",
        handlers: || get(usage::show),
        operations: &[Operation::get("What the account used, by day, model and key")
            .asks::<usage::Wanted>()
            .gives::<usage::Page>()],
    },
    Row {
        path: "/dashboard/billing/subscription",
        handlers: || get(dashboard::subscription),
        operations: &[Operation::get("What can be spent this month, for chat front-ends")
            .asks::<position::Wanted>()
            .gives::<dashboard::Subscription>()],
    },
    Row {
        path: "/dashboard/billing/usage",
        handlers: || get(dashboard::usage),
        operations: &[Operation::get("What was charged, by day and model, for chat front-ends")
            .asks::<dashboard::Wanted>()
            .gives::<dashboard::Usage>()],
    },
    Row {
        path: "/events",
        handlers: || get(feed::show),
        operations: &[Operation::get("What changes the account's balance, as it happens")
            .asks::<feed::Wanted>()
            .resumes()
            .gives_events::<feed::Told>()],
    },
    Row {
        path: "/receipts/{request_id}",
        handlers: || get(receipt::show),
        operations: &[Operation::get("Proofs that a request's events are in the log").gives::<Receipt>()],
    },
];

/// The routes of the original Layers, where they always were.
pub(crate) const ORIGINAL: &[Row] = &[
    Row { path: "/api/v1/chat", handlers: || original(&CHAT), operations: CHATS },
    Row { path: "/api/v1/chat/completions", handlers: || original(&CHAT), operations: CHATS },
    Row { path: "/api/v1/image", handlers: || original(&IMAGES), operations: MAKES_IMAGES },
    Row { path: "/api/v1/models", handlers: || get(models::list), operations: LISTS_MODELS },
    Row { path: "/api/v1/models/{*id}", handlers: || get(models::one), operations: SHOWS_A_MODEL },
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
    post(move |edge, arrival, caller, request| once::answer(sale, edge, arrival, caller, request))
}

/// Whether a path, by its pattern, needs no key.
pub fn is_open(path: &str) -> bool {
    OPEN_ROUTES.iter().any(|row| row.path == path)
}

/// Every path that is answered.
pub fn paths() -> impl Iterator<Item = String> {
    described().map(|(path, ..)| path)
}

/// Every path, whether it is open, and what it says of itself.
pub(crate) fn described() -> impl Iterator<Item = (String, bool, &'static [Operation])> {
    let api = API.iter().flat_map(|row| [format!("/v1{}", row.path), row.path.to_owned()].map(|path| (path, row)));
    let all = api.chain(ORIGINAL.iter().chain(OPEN_ROUTES).map(|row| (row.path.to_owned(), row)));
    all.map(|(path, row)| {
        let open = is_open(&path);
        (path, open, row.operations)
    })
}

/// The clients' routes, with what stands before them. The admin API is among them, unless it has a port of its own.
pub fn router(edge: Edge, with_admin: bool) -> Router {
    let mut router = Router::new();
    for row in API {
        router = router.route(&format!("/v1{}", row.path), (row.handlers)());
    }
    for row in API.iter().chain(ORIGINAL).chain(OPEN_ROUTES) {
        router = router.route(row.path, (row.handlers)());
    }
    router =
        router.method_not_allowed_fallback(wrong_method).route_layer(from_fn_with_state(edge.clone(), entrance::admit));
    if with_admin {
        router = router.merge(admin::router(&edge));
    }
    router = router.merge(console::router(&edge, with_admin));
    dressed(router, edge)
}

/// The admin API, and the console with the operator's pages.
pub fn admin_router(edge: Edge) -> Router {
    dressed(admin::router(&edge).merge(console::router(&edge, true)), edge)
}

/// What every response has, whatever is asked.
fn dressed(router: Router<Edge>, edge: Edge) -> Router {
    router
        .fallback(unknown)
        .layer(map_response(in_our_words))
        .layer(from_fn(in_their_dialect))
        .layer(from_fn_with_state(edge.clone(), door::pass))
        .layer(from_fn_with_state(edge.clone(), request_id::assign))
        .with_state(edge)
}

async fn unknown(request: Request) -> Error {
    Error::UnknownRoute { asked: asked(&request, " ") }
}

/// Said only to those whom the entrance lets in.
pub(crate) async fn wrong_method(request: Request) -> Error {
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
        TowerToHyperService::new(router(edge(None).await, true))
    }

    async fn edge(admin_key: Option<&str>) -> Edge {
        let config = Config::read(|name| match name {
            "NATS_URL" => Some("nats://127.0.0.1:1".to_owned()),
            "LAYERS_ADMIN_KEY" => admin_key.map(str::to_owned),
            _ => None,
        });
        let config = config.unwrap();
        let till = Till::open(TillConfig::new(&config.nats_url, config.cell.clone())).await.unwrap();
        Edge::new(&config, till).unwrap()
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
                if is_open(&pattern) {
                    assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                } else {
                    assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                    assert!(is_an_error(&body), "{method} {path}: {body}");
                }
            }
        }
    }

    #[tokio::test]
    async fn the_admin_api_takes_the_operators_key_and_no_other() {
        const KEY: &str = "an operator's long key";
        let edge = edge(Some(KEY)).await;
        let own_port = TowerToHyperService::new(admin_router(edge.clone()));
        let shared_port = TowerToHyperService::new(router(edge.clone(), true));
        let elsewhere = TowerToHyperService::new(router(edge, false));
        let api_key = schemas::api_key::Secret::from_random(true, &[7; 32]);
        let right = format!("Bearer {KEY}");
        let wrong =
            [format!("Bearer {KEY}!"), format!("Bearer {}", api_key.reveal()), KEY.to_owned(), "Bearer ".into()];
        let path = |path: &str| {
            let id = uuid::Uuid::now_v7().to_string();
            path.replace("{account_id}", &id).replace("{api_key_id}", &id)
        };
        for path in admin::paths().map(path) {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                let with = async |service: &TowerToHyperService<Router>, keys: &[&String]| {
                    let mut request = Request::builder().method(&method).uri(&path);
                    for key in keys {
                        request = request.header("authorization", *key);
                    }
                    let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
                    let status = response.status();
                    let body = response.into_body().collect().await.unwrap().to_bytes();
                    (status, serde_json::from_slice::<Value>(&body).unwrap_or_default())
                };
                for service in [&own_port, &shared_port] {
                    for keys in [
                        vec![],
                        vec![&right, &right],
                        vec![&wrong[0]],
                        vec![&wrong[1]],
                        vec![&wrong[2]],
                        vec![&wrong[3]],
                    ] {
                        let (status, body) = with(service, &keys).await;
                        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                        assert_eq!(body["error"]["code"], "invalid_admin_key", "{method} {path}");
                    }
                    let (status, body) = with(service, &[&right]).await;
                    assert!(status != StatusCode::UNAUTHORIZED && is_an_error(&body), "{method} {path}: {body}");
                }
                assert_eq!(with(&elsewhere, &[&right]).await.0, StatusCode::NOT_FOUND, "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn without_an_operators_key_there_is_no_admin_api() {
        let service = alone().await;
        for path in admin::paths() {
            assert_eq!(ask(&service, &Method::GET, path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn no_page_of_the_console_is_shown_without_a_session() {
        let (with_operators, without) = tokio::join!(edge(Some("an operator's long key")), edge(None));
        let services = [admin_router(with_operators.clone()), router(with_operators, false), router(without, true)];
        for service in services.map(TowerToHyperService::new) {
            let id = uuid::Uuid::now_v7().to_string();
            for path in console::inside().chain(["/console/nope", "/console/accounts/x/y/z"]) {
                let path = ["{account_id}", "{request_id}", "{api_key_id}"]
                    .iter()
                    .fold(path.to_owned(), |path, name| path.replace(name, &id));
                for method in [Method::GET, Method::POST, Method::HEAD] {
                    let request =
                        Request::builder().method(&method).uri(&path).header("cookie", "layers_console=e30.e30");
                    let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
                    let status = response.status();
                    assert!(
                        status == StatusCode::SEE_OTHER || status == StatusCode::NOT_FOUND,
                        "{method} {path}: {status}"
                    );
                    let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
                    assert!(
                        status != StatusCode::SEE_OTHER
                            || to.as_ref().is_some_and(|to| to.starts_with("/console/sign-in")),
                        "{method} {path}"
                    );
                    assert!(
                        method == Method::POST || path.ends_with("/sign-out") || to.is_some(),
                        "{method} {path}: {status}"
                    );
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
