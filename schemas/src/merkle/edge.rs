use super::hash::{Hash, node_hash};
use super::subtree::{Subtree, subtrees};

/// The right edge of a tree: the roots of the full subtrees that its leaves fall into, one for each bit of its size. All
/// that is needed to take another leaf, and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The largest subtree first.
    peaks: Vec<Hash>,
}

/// As many peaks as the size has ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {} peaks, not {found}", .size.count_ones())]
pub struct BadPeaks {
    size: u64,
    found: usize,
}

impl Edge {
    /// As it was stored.
    ///
    /// # Errors
    /// When there are not as many peaks as the size has ones. Whether they are the right ones, only the leaves can tell.
    pub fn from_peaks(size: u64, peaks: Vec<Hash>) -> Result<Self, BadPeaks> {
        if peaks.len() == size.count_ones() as usize {
            Ok(Self { size, peaks })
        } else {
            Err(BadPeaks { size, found: peaks.len() })
        }
    }

    /// Adds a leaf, by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_and(leaf, |_, _| {});
    }

    /// Adds a leaf, and tells of each full subtree that it completes, the leaf first.
    pub(super) fn push_and(&mut self, leaf: Hash, mut completed: impl FnMut(Subtree, Hash)) {
        let mut hash = leaf;
        completed(Subtree { height: 0, index: self.size }, hash);
        let merges = self.size.trailing_ones();
        self.size += 1;
        for height in 1..=merges {
            let left = self.peaks.pop().expect("a peak for each bit of the size");
            hash = node_hash(&left, &hash);
            completed(Subtree { height: height as u8, index: (self.size >> height) - 1 }, hash);
        }
        self.peaks.push(hash);
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the full subtrees, the largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Which subtrees the peaks are roots of.
    pub fn subtrees(&self) -> Vec<Subtree> {
        subtrees(0..self.size)
    }

    /// The root of the tree; RFC 6962's `MTH`.
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Hash::of_empty_tree() };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}
