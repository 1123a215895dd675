//! Proof by exhaustion and by chance: the rules of leases, holds, gates and fences, as production runs them, in a small
//! closed world in which everything that can go wrong does. See `docs/decisions/0005-model.md`.

/// What a world is made of, and what may go wrong in it.
pub mod setup;

/// Gateways, ledger, stream, provider, one account.
pub mod world;

/// What holds in every state.
pub mod properties;

/// Every state of a small world.
pub mod check;

/// The worlds that are checked.
pub mod worlds;

/// Larger worlds, walked by chance.
pub mod simulate;
