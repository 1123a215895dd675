//! Toward the provider: who is asked, and how a call goes.

mod client;
mod connection;
mod failure;

pub use client::{Answering, Client};
pub use connection::{Api, Connection, ToAsk};
pub(crate) use failure::said;
pub use failure::{Failure, refused};
