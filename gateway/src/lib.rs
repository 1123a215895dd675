//! The HTTP edge and the command side: an OpenAI-compatible API whose every request is paid for with prepaid credits.
//! In the order in which a request meets them:

// What is set from outside.
pub mod config;

// Messages of a request, by tier.
pub mod message_limits;

/// Logs.
pub mod telemetry;

/// TLS, where it is not a proxy's business.
pub mod tls;

// Connections in, and the graceful end.
pub mod serve;

// Which path is answered by what.
pub mod routes;

/// Who asks, by address.
pub mod address;

/// CORS and security headers.
pub mod door;

/// The OpenAPI document.
pub mod openapi;

// Numbers that look like chance.
mod mix;

// `x-request-id`, on every response.
pub mod request_id;

// Authentication and rate limit, before every route that is not open.
pub mod entrance;

/// Failed authentications, by address.
pub mod failures;

/// Secrets by which somebody is let in.
pub mod secret;

/// What every route needs.
pub mod edge;

// `Idempotency-Key`, around the way of a paid request.
pub mod once;

// The way of every request that costs money.
mod paid;

/// What a fuzzer drives: the readers of what comes from outside.
#[cfg(feature = "fuzz")]
pub mod fuzz {
    /// Any bytes as the body of a request.
    pub fn body(bytes: &[u8]) {
        crate::paid::fuzz::body(bytes);
    }

    /// Any bytes as what a provider answers.
    pub fn stream(bytes: &[u8]) {
        crate::paid::fuzz::stream(bytes);
    }
}

/// What `make bench-check` counts the instructions of.
#[cfg(feature = "measured")]
pub mod measured {
    pub use crate::paid::measured::{request, stream, whole};
}

// `POST /v1/chat/completions`.
mod chat;

// `POST /v1/responses`.
mod responses;

// `POST /v1/embeddings`.
mod embeddings;

// `POST /v1/images/generations`.
mod images;

// `POST /v1/messages`.
mod messages;

// The money side: callers, limits, holds and their settlement.
pub mod till;

// Toward the provider.
pub mod upstream;

// Server-sent events, framed.
pub mod sse;

// The members of a request's body.
mod fields;

// JSON objects, changed in their text.
pub mod splice;

// What a provider says of the usage.
pub mod usage;

// What was used where the provider says nothing.
pub mod estimate;

// Other names of models.
mod aliases;

// `GET /v1/models`.
pub mod models;

// How far the read models must be.
mod position;

// `GET /v1/credits`.
pub mod credits;

// `GET /v1/key`, `/v1/generation`, `/v1/usage`, and the old dashboard's routes.
pub mod billing;

// `GET /v1/events`.
mod feed;

// Receipts, and the public form of the ledger's log.
pub mod log;

// `/admin/v1`: the operator's commands.
pub mod admin;

// `/console`: pages for people.
pub mod console;

// `GET /health`.
pub mod health;

// `GET /metrics`.
pub mod metrics;

// Everything that can go wrong for a client, and how it looks.
pub mod error;
