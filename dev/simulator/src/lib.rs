//! A stand-in provider: speaks the HTTP of the real one, does what the last user message tells it to, and keeps a bill.
//!
//! It shares no code with what it is used to test: its prices, its arithmetic and its bill are the provider's own
//! opinion. In the order in which a request meets them:

pub mod server;

pub mod request;

pub mod directive;

pub mod catalog;

pub mod usage;

pub mod answer;

pub mod whole;

pub mod sse;

pub mod refusal;

pub mod bill;
