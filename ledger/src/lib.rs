//! The ledger: the source of truth. It reads the stream, answers commands, and appends both to `ledger.events`.

/// The one write to the log.
pub mod append;
/// Signed checkpoints of the log.
pub mod checkpoint;
/// The command line.
pub mod cli;
/// What may be asked of the ledger, and refused.
pub mod command;
/// Where the servers are, and how long things may take.
pub mod config;
/// PostgreSQL: connections, migrations, and which of several ledgers is active.
pub mod database;
/// The books as files, and back.
pub mod export;
/// Health and metrics over HTTP.
pub mod health;
/// Lives of gateways: gates, heartbeats, fences, expired holds.
pub mod life;
/// Answers on NATS.
pub mod listen;
/// Reading the log in order.
pub mod log;
/// What the platform bears.
pub mod losses;
/// Leases, with recalls from other gateways.
pub mod recall;
/// An account's history.
pub mod replay;
/// All of it together.
pub mod serve;
/// JetStream: generations of the stream, and reading it.
pub mod stream;
/// The log's Merkle tree in the database.
mod tree;
/// Proof that everything derived is what the events add up to.
pub mod verify;
