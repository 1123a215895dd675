//! `GET /health` and `GET /metrics`.

mod metrics;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use chrono::Utc;
use serde_json::json;

use crate::follow::{Phase, Status};

/// The routes of a projector.
pub fn routes(status: Arc<Status>) -> Router {
    Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(status)
}

/// 200 while it follows or stands by; 503 while it can do neither. Lag alone is no illness: it is for an alert to judge.
async fn health(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let snapshot = status.snapshot();
    let code = match snapshot.phase {
        Phase::Following | Phase::StandingBy => StatusCode::OK,
        Phase::Disconnected | Phase::WaitingForMigrations => StatusCode::SERVICE_UNAVAILABLE,
    };
    let lag = snapshot.lag.as_ref();
    let body = json!({
        "status": snapshot.phase.name(),
        "version": lag.map(|lag| lag.version),
        "position": lag.map(|lag| lag.position),
        "head": lag.map(|lag| lag.head),
        "lag_events": lag.map(crate::lag::Lag::events),
        "lag_seconds": snapshot.lag_seconds(Utc::now()),
        "quarantined": lag.map(|lag| lag.quarantined),
        "last_error": snapshot.last_error,
    });
    (code, Json(body))
}

async fn metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let body = metrics::render(&status.snapshot(), Utc::now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], body)
}
