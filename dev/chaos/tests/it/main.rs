//! Processes die, sleep and lose their data, one story at a time; and by chance, for a short while.

mod chaos_fence;
mod chaos_gateway_dies;
mod chaos_kills;
mod chaos_ledger_away;
mod chaos_ledger_sleeps;
mod chaos_nats_away;
mod chaos_nats_lost;
mod chaos_short;
mod cluster_gates;
mod paused;
mod system_rolling_upgrade;
