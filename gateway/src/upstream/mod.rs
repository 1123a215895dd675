//! Toward the provider: who is asked, how a call goes, and whether another one is asked after it failed.
//! docs/decisions/0013-upstreams.md.

pub mod breaker;
mod choice;
mod client;
mod connection;
mod counts;
mod failure;
mod list;
mod listed;
mod patience;
mod retry_budget;

pub use client::{Answering, Client};
pub use connection::{Api, Connection, ToAsk};
pub use counts::{Counts, OUTCOMES};
pub(crate) use failure::said;
pub use failure::{Failure, refused};
pub use list::{MOST, Nobody, Turn, Upstreams};
pub use listed::{Setup, Upstream};
pub use patience::Patience;
