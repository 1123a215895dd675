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

/// Carries it out.
pub mod strike;

/// What the clients ask meanwhile.
pub mod mix;

/// The proof at the end.
pub mod proof;

/// A chaotic run, from an empty system to its proof.
pub mod run;

/// What it was like.
pub mod table;

pub use ask::{Ask, Leaves};
pub use client::{Client, Ended, Heard};
pub use load::Load;
pub use proof::OPEN_HOLDS;
pub use world::{CREDITS, World, blocking};
