//! Every response has an `x-request-id`; the same id stands in the events and goes to the provider.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use schemas::ids::RequestId;
use uuid::Uuid;

use crate::edge::Edge;
use crate::error::{Dialect, Outcome};
use crate::once::Again;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Where Anthropic's clients look for it.
const ANTHROPIC_HEADER: HeaderName = HeaderName::from_static("request-id");

/// One request at the door.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its id, made here: a client's own would not be unique.
    pub id: RequestId,
    /// When it came.
    pub at: Instant,
}

/// The outermost layer: gives the request its id, and counts how it ended.
pub async fn assign(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let arrival = Arrival { id: RequestId(Uuid::now_v7()), at: Instant::now() };
    request.extensions_mut().insert(arrival);
    let dialect = Dialect::of_path(request.uri().path());
    let mut response = next.run(request).await;
    // An answer that is given again keeps the id by which its charge is found.
    let id = response.extensions().get::<Again>().map_or(arrival.id, |again| again.0);
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    if let Ok(id) = HeaderValue::from_str(id.0.as_hyphenated().encode_lower(&mut text)) {
        if dialect == Dialect::Anthropic {
            response.headers_mut().insert(ANTHROPIC_HEADER, id.clone());
        }
        response.headers_mut().insert(HEADER, id);
    }
    let outcome = response.extensions().get::<Outcome>().map_or("ok", |outcome| outcome.0);
    // What failed after it was charged has a status of its own.
    if response.status().is_server_error() || response.status() == StatusCode::FAILED_DEPENDENCY {
        tracing::warn!(request.id = %arrival.id, status = response.status().as_u16(), outcome, "request.failed");
    }
    edge.metrics().answered(outcome, arrival.at.elapsed());
    response
}
