//! A stand-in provider: speaks the HTTP of the real one, does what the last user message tells it to, and keeps a bill.
//!
//! It shares no code with what it is used to test: its prices, its arithmetic and its bill are the provider's own
//! opinion. In the order in which a request meets them:

pub mod server;

/// `POST /v1/chat/completions`.
pub mod chat;

/// `POST /v1/responses`.
pub mod responses;

/// `POST /v1/messages`, as Anthropic's own.
pub mod messages;

/// `POST /v1/embeddings`.
pub mod embeddings;

/// `POST /v1/images/generations`.
pub mod images;

pub mod asked;

pub mod directive;

pub mod catalog;

pub mod usage;

pub mod answer;

pub mod events;

pub mod refusal;

pub mod bill;
