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
/// Lines of CSV.
pub mod csv;
/// PostgreSQL: connections, migrations, and which of several ledgers is active.
pub mod database;
/// The books over a log of any length.
pub mod folding;
/// Text, CSV or JSON.
pub mod format;
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
/// Positions and times, as people name them.
pub mod place;
/// How far a long reading is.
pub mod progress;
/// Leases, with recalls from other gateways.
pub mod recall;
/// Histories, and what was had at any position.
pub mod replay;
/// All of it together.
pub mod serve;
/// The bill of a month.
pub mod statement;
/// JetStream: generations of the stream, and reading it.
pub mod stream;
/// The log's Merkle tree in the database.
mod tree;
/// Double entry: debits and credits.
pub mod trial_balance;
/// Proof that everything derived is what the events add up to.
pub mod verify;
