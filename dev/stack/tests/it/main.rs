//! The private servers and processes keep their promises, and so does the whole system that runs on them.

mod children;
mod compose;
mod run;
mod servers_nats;
mod servers_nats_cluster;
mod servers_postgres;
mod system_bad_input;
mod system_client_leaves;
mod system_credits;
mod system_exact_charge;
mod system_graceful_stop;
mod system_keys;
mod system_kit;
mod system_last_credit;
mod system_leases;
mod system_many_gateways;
mod system_metrics;
mod system_models;
mod system_provider_fails;
mod system_rate_limit;
mod system_rebuild;
mod system_receipts;
mod system_request_id;
mod system_sdk;
mod system_streams;
mod system_test_mode;
