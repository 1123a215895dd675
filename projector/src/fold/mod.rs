//! What a batch of events changes. Pure: what was known before comes in, what changed goes out.
//!
//! Money follows from `schemas::books::Slots`, the same code by which the ledger keeps its books, so the two cannot differ.
//! The ledger appends only what can be true, so nothing is refused here; what cannot be understood is poison.

mod batch;
mod changes;
mod facts;
mod journal;
mod memory;
mod poison;
mod request;

pub use batch::Batch;
pub use changes::{AccountChange, Changes, KeyChange, NewAccount, NewKey, Transaction, TransactionKind};
pub use facts::{Facts, Tokens};
pub use journal::{Entry, Standing};
pub use memory::Memory;
pub use poison::Poison;
pub use request::Request;
pub(crate) use request::created_at;
