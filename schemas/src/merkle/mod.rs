//! The log as a Merkle tree: RFC 6962 hashing over the events' own bytes, tiles and checkpoints in the forms of C2SP
//! (tlog-tiles, tlog-checkpoint, signed-note). The event at position `p` is leaf `p − 1`.
//!
//! | what | where |
//! |---|---|
//! | leaves come in | `Frontier`: the right `Edge` of the tree and the tiles that are not full yet |
//! | what is stored | `Tile`s of 256 hashes |
//! | what is proved | `inclusion_proof`, `consistency_proof`, over subtrees that `Tiles` knows |
//! | who believes it | `verify_inclusion`, `verify_consistency`: from a proof alone, without the tree |
//! | what is signed | a `Checkpoint` in a `note` |

mod checkpoint;
mod edge;
mod frontier;
mod hash;
/// Text with signatures, as C2SP's signed-note has it: Ed25519, keys in the encoding of Go's `note` package.
pub mod note;
mod prove;
mod subtree;
mod tile;
mod tiles;
mod verify;

#[cfg(test)]
mod naive;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use edge::{BadPeaks, Edge};
pub use frontier::{BadFrontier, Frontier, Grown};
pub use hash::{BadHash, Hash, leaf_hash, node_hash};
pub use prove::{
    Missing, Source, consistency_proof, consistency_ranges, inclusion_proof, inclusion_ranges, range_hash, root,
};
pub use subtree::{Subtree, subtrees};
pub use tile::{BadTilePath, HEIGHT, Tile, WIDTH};
pub use tiles::{BadTile, Tiles};
pub use verify::{ProofError, verify_consistency, verify_inclusion};
