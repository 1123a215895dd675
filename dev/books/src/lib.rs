//! Books of any length, made up but true: a log that the ledger's own core has decided, event by event, and stored as it
//! stores; and what it costs to prove them.

/// Numbers, ids and time that are the same for the same seed.
mod chance;
/// The least that a fold of the same bytes can cost.
pub mod floor;
/// What a gateway says, and the stream that carries it.
mod gateway;
/// A year of usage, for queries.
pub mod history;
/// Batches into the database.
pub mod make;
/// What it costs to prove them.
pub mod measure;
/// The projector's pace beside the ledger's, and what readers see of a rebuild.
pub mod pace;
/// One request: what it asks, uses, and how it ends.
mod request;
/// What happens, step by step.
mod story;

pub use story::Story;
