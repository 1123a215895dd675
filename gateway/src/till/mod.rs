//! The money side of a gateway: who asks, how often they may, what is set aside for a request, and how it is settled.

mod admission;
mod caller;
mod config;
mod handle;
mod health;
mod hold;
mod metrics;
mod refused;
mod to_authorize;

pub use admission::Admission;
pub use caller::{Caller, NotAuthenticated};
pub use config::TillConfig;
pub use handle::Till;
pub use health::TillHealth;
pub use hold::{Hold, SettleError, Settled, Settling};
pub use metrics::{Count, Gauge, TillMetrics};
pub use refused::Refused;
pub use to_authorize::ToAuthorize;
