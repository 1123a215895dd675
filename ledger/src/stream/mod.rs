//! NATS JetStream is transport: what was read and appended is written in PostgreSQL, and nothing that the broker
//! remembers is trusted.

mod announcer;
mod generation;
mod nats;
mod reader;

pub use announcer::Announcer;
pub use generation::{Generations, NextGeneration, Opened};
pub use nats::Nats;
pub use reader::{Reader, Reading};
