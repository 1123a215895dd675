use std::sync::Arc;

use schemas::merkle::Hash;

/// A checkpoint that was stored, so that it may be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Positions that it covers.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
    /// The signed note.
    pub note: Arc<str>,
}
