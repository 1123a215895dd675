//! The Merkle tree of the log in the database: how it is written with a batch, and how it is read back and believed.
//!
//! | when | what | costs |
//! |---|---|---|
//! | with each batch | full tiles of leaves, longer tiles above, the right edge in the head | a hash a leaf and one a node; one statement |
//! | at a start and after a failure | the edge, the open tiles, the last 255 events at most; they must fit each other and the newest checkpoint | a few rows |
//! | at the first start on a database from before the tree | everything, page by page | a pass over the log |
//!
//! Tiles in the midst of the log are not read at a start: `ledger verify` proves those.

mod fill;
mod load;
mod store;

pub(crate) use fill::fill;
pub(crate) use load::{last_checkpoint, load, tiles};
pub(crate) use store::store;
