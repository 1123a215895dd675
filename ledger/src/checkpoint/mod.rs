//! Signed checkpoints: what the ledger says of its log to the outside, and can never take back. Only committed state is
//! signed, and only while the epoch is this ledger's; a note that is not in `ledger.checkpoints` was never given out.

mod checkpoints;
mod config;
mod keygen;
mod sign;
mod signed;

pub use checkpoints::Checkpoints;
pub use config::{CheckpointConfig, KeyText};
pub use keygen::generate;
pub use sign::Signing;
pub use signed::Signed;
