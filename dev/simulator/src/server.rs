//! The provider's HTTP.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::bill::{Bill, Call, Status};
use crate::catalog::Catalog;
use crate::directive::Directive;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::sse::Events;
use crate::whole;

#[derive(Debug, Clone)]
struct Provider {
    catalog: Arc<Catalog>,
    bill: Arc<Bill>,
}

/// The whole provider, with an empty bill.
///
/// # Errors
/// When the committed price list cannot be read.
pub fn app() -> Result<Router> {
    let catalog = Arc::new(Catalog::load()?);
    let provider = Provider { bill: Arc::new(Bill::new(catalog.clone())), catalog };
    Ok(Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/chat/completions", post(chat))
        .route("/v1/models", get(models))
        .route("/models", get(models))
        .route("/stats", get(stats))
        .route("/stats/reset", post(reset))
        .route("/health", get(|| async { "ok\n" }))
        .fallback(|| async { Refusal::with_status(404, "Not Found") })
        .layer(DefaultBodyLimit::disable())
        .with_state(provider))
}

async fn chat(State(provider): State<Provider>, headers: HeaderMap, body: Bytes) -> Result<Response<Body>, Refusal> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|value| value.strip_prefix("Bearer ")).is_none_or(|key| key.trim().is_empty()) {
        return Err(Refusal::with_status(401, "Authentication failed: no API key was given"));
    }
    let request: Request<'_> =
        serde_json::from_slice(&body).map_err(|error| Refusal::with_status(400, format!("Invalid input: {error}")))?;
    let model = provider.catalog.find(&request.model).ok_or_else(|| Refusal::model_not_found(&request.model))?;
    let directive = Directive::in_text(request.last_user_text()).map_err(|error| Refusal::with_status(400, error))?;
    let streamed = request.stream.unwrap_or(false);
    let answer = Answer::new(&request, directive, provider.catalog.model(model));
    let id = headers.get("x-request-id").and_then(|value| value.to_str().ok());
    let mut call = provider.bill.begin(id, model, answer.usage, answer.chunks, streamed);
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
    Ok(if streamed { stream_of(answer, call) } else { whole_of(&answer, call) })
}

fn stream_of(answer: Answer, call: Call) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(Events::new(answer, call)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn whole_of(answer: &Answer, mut call: Call) -> Response<Body> {
    let mut body = Bytes::from(whole::body(answer));
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

async fn reset(State(provider): State<Provider>) -> &'static str {
    provider.bill.reset();
    "ok\n"
}
