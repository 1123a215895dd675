//! The HTTP edge and the command side: an OpenAI-compatible API whose every request is paid for with prepaid credits.
//! In the order in which a request meets them:

/// `POST /v1/chat/completions`.
pub mod chat;
/// What is set from outside.
pub mod config;
/// `GET /v1/credits`.
pub mod credits;
/// What every route needs.
pub mod edge;
/// Authentication and rate limit, before every route that is not open.
pub mod entrance;
/// Everything that can go wrong for a client, and how it looks.
pub mod error;
/// What was used where the provider says nothing.
pub mod estimate;
/// `GET /health`.
pub mod health;
/// `GET /metrics`.
pub mod metrics;
/// `GET /v1/models`.
pub mod models;
/// `x-request-id`, on every response.
pub mod request_id;
/// Which path is answered by what.
pub mod routes;
/// Connections in, and the graceful end.
pub mod serve;
/// JSON objects, changed in their text.
pub mod splice;
/// Server-sent events, framed.
pub mod sse;
/// Logs.
pub mod telemetry;
/// The money side: callers, limits, holds and their settlement.
pub mod till;
/// Toward the provider.
pub mod upstream;
/// What a provider says of the usage.
pub mod usage;
