//! What is measured, one file each.

pub(crate) mod hot_account;
pub(crate) mod latency;
pub(crate) mod open_streams;
pub(crate) mod overload;
pub(crate) mod saturated;
pub(crate) mod start;
