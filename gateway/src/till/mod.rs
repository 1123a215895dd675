//! The money side of a gateway: who asks, how often they may, what is set aside for a request, and how it is settled.
//!
//! A request meets, in this order: `Till::authenticate` → `Till::admit` → `Till::authorize`, which gives a `Hold` →
//! the provider → `Hold::settle`. Nothing of it asks the ledger while the key is known and the lease has enough.
//!
//! The rules are pure and know no clock, task or connection: `lease`, `account`, `gates`, `outbox`, `peers`. The
//! rest is the shell that connects them to NATS and to time.

mod admission;
mod caller;
mod config;
mod health;
mod metrics;
mod refused;
mod to_authorize;

mod checkpoint;

/// The handle, and what there is once a process.
mod handle;

/// Who asks.
mod keys;
mod limits;
mod test_mode;

/// A lease, who waits for credits of it, and what to ask the ledger for.
pub mod account;
/// The gates of one life.
pub mod gates;
/// What one life of a gateway may spend of one account.
pub mod lease;
/// The events of one life that are not appended yet.
pub mod outbox;
/// The gateways that share the rate limits.
pub mod peers;
mod pressure;
/// What an account spent lately.
pub mod spending;

/// An authorization: from the lease, through a gate.
mod authorize;
mod key_cap;
mod refill;
mod slot;
mod take;

/// A request that is open, until it is settled or released.
mod deliver;
mod hold;
mod open_request;

/// The lives of this process.
mod accounts;
mod keep;
mod life;
mod lives;
mod register;

/// What all lives share: the connection, what is heard and said over it, the end.
mod broadcasts;
mod bus;
mod close;
mod command;
mod heartbeat;
mod shared;
mod stored;

pub use admission::Admission;
pub use caller::{Caller, NotAuthenticated};
pub use command::NotCarriedOut;
pub use config::TillConfig;
pub use handle::Till;
pub use health::TillHealth;
pub use hold::{Hold, SettleError, Settled, Settling};
pub use metrics::{Count, Gauge, TillMetrics};
pub use refused::Refused;
pub use to_authorize::ToAuthorize;
