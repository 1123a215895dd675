//! Private servers and processes for development: what `make run` supervises and what tests stand on.
//!
//! Everything here blocks (threads, no async runtime), so that a `Drop` can end what it started. An async test calls it
//! from a multi-threaded runtime (`#[tokio::test(flavor = "multi_thread")]`) or through `spawn_blocking`.
//! Whatever is started dies with the process that started it, also when that is killed with SIGKILL (Linux).

pub mod place;

pub mod port;

pub mod http;

pub mod secret;

pub mod process;

pub mod servers;

pub mod release;

pub mod program;

pub mod local;

pub mod browser;

pub mod sdk;

pub mod run;

pub mod prepare_sqlx;
