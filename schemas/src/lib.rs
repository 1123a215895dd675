//! The shared language of Layers: what the gateway, the ledger and the projector say to each other, and the pure rules
//! over it. No I/O, no clock, no randomness: they come in as arguments.
#![deny(clippy::float_arithmetic)]

/// API keys: how a secret looks, and the only form in which it is kept.
pub mod api_key;
/// The AsyncAPI document of all that travels on NATS.
pub mod asyncapi;
/// The fold: events → accounts, leases, holds, keys, emitters.
pub mod books;
/// The facts: envelope and data of each event type.
pub mod event;
/// SHA-256 of keys and of messages.
pub mod hash;
/// Who is meant: accounts, requests, keys, emitters, events.
pub mod ids;
/// The log as a Merkle tree: hashes, tiles, proofs, signed checkpoints.
pub mod merkle;

/// Which models a key may ask, and how much it may spend.
pub mod key_limits;
/// What gateways and the ledger say to each other outside the stream: commands, leases, lives.
pub mod message;
/// Exact amounts: nanocredits and picodollars.
pub mod money;
/// Versioned prices of the models that are sold.
pub mod price_book;
/// Usage × price: what a request cost, and the most that it can cost.
pub mod rate;
/// Receipts: what a request's events are, and that they are in the log.
pub mod receipt;
/// Sets of sequence numbers: what was seen of an emitter, and what is missing.
pub mod seq_set;
/// Where things travel: stream names and subjects.
pub mod subject;
/// Plans and how many requests a minute each allows.
pub mod tier;
