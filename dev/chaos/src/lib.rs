//! Kills, pauses and robs a running system under load, and proves at the end that no credit was lost, charged twice or
//! stranded.

/// Numbers by chance.
pub mod chance;

/// What a client asks.
pub mod ask;

/// A client, and what it hears.
pub mod client;

/// A running system, accounts that pay, and looks at both.
pub mod world;

/// The stream, as NATS itself sees it.
pub mod stream;

/// Many clients.
pub mod load;

/// What goes wrong when.
pub mod schedule;

/// The proof at the end.
pub mod proof;

pub use ask::{Ask, Leaves};
pub use client::{Client, Ended, Heard};
pub use load::Load;
pub use proof::OPEN_HOLDS;
pub use world::{CREDITS, World, blocking};
