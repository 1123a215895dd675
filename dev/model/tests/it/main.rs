//! The rules of leases, holds, gates and fences, in small closed worlds.

mod broken_rules;
mod simulation;
mod small_worlds;
