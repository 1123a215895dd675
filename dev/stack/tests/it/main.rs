//! The private servers keep their promises.

mod servers_nats;
mod servers_nats_cluster;
mod servers_postgres;
