//! The ledger against real NATS and PostgreSQL. The gateways here are puppets: they say exactly what a test tells them.

mod key_caps;
mod kit;

mod append;
mod checkpoint;
mod commands;
mod expiry;
mod fence;
mod generation;
mod import;
mod properties;
mod quarantine;
mod recall;
mod reconcile;
mod replay;
mod rerate;
mod takeover;
mod tree;
mod verify;
