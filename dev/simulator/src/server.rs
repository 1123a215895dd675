//! The provider's HTTP.

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::bill::{Bill, Call, Status};
use crate::catalog::{Catalog, Kind};
use crate::chat::Chat;
use crate::directive::Directive;
use crate::embeddings::Embeddings;
use crate::events::{Events, Script};
use crate::images::Images;
use crate::messages::Messages;
use crate::refusal::Refusal;
use crate::responses::Responses;

#[derive(Debug, Clone)]
struct Provider {
    catalog: Arc<Catalog>,
    bill: Arc<Bill>,
    /// The only key that is taken; any, if there is none.
    key: Option<Arc<str>>,
    /// What is wished of every request, beside its own wishes.
    wishes: Arc<RwLock<String>>,
}

/// A form in which the provider can be asked.
pub trait Form: fmt::Debug + Sync {
    /// What a body asks for.
    ///
    /// # Errors
    /// When it does not have this form.
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error>;
    /// The body of an answer in one piece.
    fn whole(&self, answer: &Answer) -> String;
    /// The events of an answer in pieces.
    fn script(&self, answer: &Answer) -> Box<dyn Script>;
    /// What answers.
    fn kind(&self) -> Kind {
        Kind::Language
    }
    /// The body of an error.
    fn error(&self, refusal: &Refusal) -> String {
        refusal.body()
    }
}

/// The whole provider, with an empty bill; with a key, it takes no other one.
///
/// # Errors
/// When the committed price list cannot be read.
pub fn app(key: Option<&str>) -> Result<Router> {
    let catalog = Arc::new(Catalog::load()?);
    let bill = Arc::new(Bill::new(catalog.clone()));
    let provider = Provider { bill, catalog, key: key.map(Into::into), wishes: Arc::default() };
    let forms: [(&str, &'static dyn Form); 5] = [
        ("/chat/completions", &Chat),
        ("/responses", &Responses),
        ("/messages", &Messages),
        ("/embeddings", &Embeddings),
        ("/images/generations", &Images),
    ];
    let mut router = Router::new();
    for (path, form) in forms {
        let method = || post(move |provider, headers, body| answer(form, provider, headers, body));
        router = router.route(&format!("/v1{path}"), method()).route(path, method());
    }
    Ok(router
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/stats", get(stats))
        .route("/stats/reset", post(reset))
        .route("/wishes", post(wish))
        .route("/health", get(|| async { "ok\n" }))
        .fallback(|| async { Refusal::with_status(404, "Not Found") })
        .layer(DefaultBodyLimit::disable())
        .with_state(provider))
}

async fn answer(form: &'static dyn Form, provider: State<Provider>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    match try_answer(form, provider, headers, body).await {
        Ok(response) => response,
        Err(refusal) => {
            let body = form.error(&refusal);
            let mut response = refusal.into_response();
            *response.body_mut() = Body::from(body);
            response
        }
    }
}

async fn try_answer(
    form: &'static dyn Form,
    State(provider): State<Provider>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response<Body>, Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match (bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim), &provider.key) {
        (None | Some(""), _) => return Err(Refusal::with_status(401, "Authentication failed: no API key was given")),
        (Some(given), Some(key)) if *given != **key => {
            return Err(Refusal::with_status(401, "Authentication failed: the API key is wrong"));
        }
        _ => {}
    }
    let asked = form.read(&body).map_err(|error| Refusal::with_status(400, format!("Invalid input: {error}")))?;
    let model = provider.catalog.find(&asked.model).ok_or_else(|| Refusal::model_not_found(&asked.model))?;
    if provider.catalog.model(model).kind != form.kind() {
        return Err(Refusal::with_status(400, format!("Model '{}' does not answer this", asked.model)));
    }
    let refuse = |error| Refusal::with_status(400, error);
    let mut directive = Directive::in_text(&asked.told).map_err(refuse)?;
    directive.also(&provider.wishes.read()).map_err(refuse)?;
    let answer = Answer::new(&asked, directive, provider.catalog.model(model));
    let window = provider.catalog.model(model).context_window;
    if answer.usage.prompt_tokens > window {
        return Err(Refusal::context_length(window, answer.usage.prompt_tokens));
    }
    let id = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let mut call = provider.bill.begin(id, model, answer.usage, answer.chunks, asked.stream);
    if answer.directive.hang {
        pending::<Infallible>().await;
    }
    if answer.directive.latency_ms > 0 {
        sleep(Duration::from_millis(answer.directive.latency_ms)).await;
    }
    if let Some(status) = answer.directive.status {
        call.end(Status::Error);
        let retry_after = answer.directive.retry_after;
        return Err(Refusal { retry_after, ..Refusal::with_status(status, format!("simulated status {status}")) });
    }
    Ok(if asked.stream { stream_of(form, answer, call) } else { whole_of(form, &answer, call) })
}

fn stream_of(form: &dyn Form, answer: Answer, call: Call) -> Response<Body> {
    let script = form.script(&answer);
    let mut response = Response::new(Body::from_stream(Events::new(answer, call, script)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn whole_of(form: &dyn Form, answer: &Answer, mut call: Call) -> Response<Body> {
    let mut body = form.whole(answer);
    if answer.directive.malformed {
        body.truncate(body.len() / 2);
    }
    let mut body = Bytes::from(body);
    let length = HeaderValue::from(body.len());
    let mut response = if answer.directive.cut_after.is_some() {
        body.truncate(body.len() / 2);
        call.end(Status::Cut);
        // The pause lets the half be written out before the connection is cut.
        let half = stream::iter([Ok(body)]);
        let cut = stream::once(async {
            sleep(Duration::from_millis(5)).await;
            Err(std::io::Error::other("cut, as told"))
        });
        Response::new(Body::from_stream(half.chain(cut)))
    } else {
        call.end(Status::Completed);
        Response::new(Body::from(body))
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    json(response)
}

fn json(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn models(State(provider): State<Provider>) -> Response<Body> {
    json(Response::new(Body::from(provider.catalog.list())))
}

#[derive(Deserialize)]
struct StatsQuery {
    by: Option<String>,
}

async fn stats(State(provider): State<Provider>, Query(query): Query<StatsQuery>) -> Response<Body> {
    match query.by.as_deref() {
        None => axum::Json(provider.bill.totals()).into_response(),
        Some("request") => axum::Json(provider.bill.requests()).into_response(),
        Some(_) => Refusal::with_status(400, "`by` can only be `request`").into_response(),
    }
}

/// From now on of every request, in the query: `POST /wishes?status=500&latency_ms=10`; nothing without one.
async fn wish(State(provider): State<Provider>, RawQuery(query): RawQuery) -> Response<Body> {
    let wishes = query.unwrap_or_default().replace('&', " ");
    match Directive::default().also(&wishes) {
        Ok(()) => {
            *provider.wishes.write() = wishes;
            "ok\n".into_response()
        }
        Err(error) => Refusal::with_status(400, error).into_response(),
    }
}

async fn reset(State(provider): State<Provider>) -> &'static str {
    provider.bill.reset();
    "ok\n"
}
