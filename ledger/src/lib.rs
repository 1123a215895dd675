//! The ledger: the source of truth. It reads the stream, answers commands, and appends both to `ledger.events`.

/// The one write to the log.
pub mod append;
/// Asking the ledger that is active.
pub mod asker;
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
/// What is seen of each emitter, and what is missing.
pub mod emitters;
/// The books as files, and back.
pub mod export;
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
/// Places in the log, as people name them.
pub mod place;
/// Every version of the prices.
pub mod price_books;
/// How far a long reading is.
pub mod progress;
/// Messages that could not be applied.
pub mod quarantine;
/// A part of the log, named by positions or times.
pub mod range;
/// Leases, with recalls from other gateways.
pub mod recall;
/// The provider's record of the same calls.
pub mod reconcile;
/// Histories, and what was had at any position.
pub mod replay;
/// Other prices for the same usage.
pub mod rerate;
/// All of it together.
pub mod serve;
/// What a request has cost, and would have.
pub mod settled;
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
