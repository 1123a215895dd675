//! `GET /health`: whether this gateway can take requests now, for load balancers and people.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use crate::edge::Edge;

/// How the gateway is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusing: Option<&'static str>,
    connected: bool,
    registered: bool,
    generation: u64,
    ledger_heard_ms: Option<u64>,
    stream_used_percent: u8,
    backlog_bytes: u64,
    live_gateways: u32,
    price_version: u32,
}

/// 200 if a request could be authorized now, else 503 and why not.
pub async fn show(State(edge): State<Edge>) -> (StatusCode, Json<Health>) {
    let till = edge.till().health();
    let (status, code) =
        if till.ready() { ("ok", StatusCode::OK) } else { ("unavailable", StatusCode::SERVICE_UNAVAILABLE) };
    let health = Health {
        status,
        refusing: till.refusing,
        connected: till.connected,
        registered: till.registered,
        generation: till.generation,
        ledger_heard_ms: till.ledger_heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
        stream_used_percent: till.stream_used_percent,
        backlog_bytes: till.backlog_bytes,
        live_gateways: till.live_gateways,
        price_version: edge.till().prices().version,
    };
    (code, Json(health))
}
