use std::ops::Range;

use super::hash::{Hash, node_hash};
use super::subtree::{Subtree, subtrees};

/// Knows hashes of full subtrees: [`super::Tiles`], or a naive tree in tests.
pub trait Source {
    /// The root of a full subtree, if it is at hand.
    fn hash(&self, subtree: Subtree) -> Option<Hash>;
}

/// The source does not have this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hash of the subtree of height {} at {} is not at hand", .0.height, .0.index)]
pub struct Missing(pub Subtree);

/// The root over a range of leaves that begins at a multiple of the power of two that covers it: RFC 6962's
/// `MTH(D[start:end])`, with the whole tree as its largest case.
///
/// # Errors
/// When the source lacks a subtree.
pub fn range_hash(range: Range<u64>, source: &impl Source) -> Result<Hash, Missing> {
    let found: Result<Vec<Hash>, Missing> =
        subtrees(range).into_iter().map(|subtree| source.hash(subtree).ok_or(Missing(subtree))).collect();
    let found = found?;
    let mut peaks = found.iter().rev();
    let Some(last) = peaks.next() else { return Ok(Hash::of_empty_tree()) };
    Ok(peaks.fold(*last, |right, left| node_hash(left, &right)))
}

/// The root of the first `size` leaves.
///
/// # Errors
/// When the source lacks a subtree.
pub fn root(size: u64, source: &impl Source) -> Result<Hash, Missing> {
    range_hash(0..size, source)
}

/// Which ranges of leaves the hashes of an inclusion proof are over, in the order of the proof: from the leaf to the root.
/// `index` is below `size`.
pub fn inclusion_ranges(index: u64, size: u64) -> Vec<Range<u64>> {
    let (mut low, mut high) = (0, size);
    let mut ranges = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// Which ranges of leaves the hashes of a consistency proof are over, in the order of the proof. `first` is at most `second`.
pub fn consistency_ranges(first: u64, second: u64) -> Vec<Range<u64>> {
    let (mut low, mut high) = (0, second);
    let mut ranges = Vec::new();
    if first == 0 {
        return ranges;
    }
    while high != first {
        let middle = low + split(high - low);
        if first <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // Where the first tree is a subtree of the second, its root is known to who asks.
    if low > 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    ranges
}

/// That leaf `index` is in the tree of the first `size` leaves: RFC 6962's audit path, 2.1.1.
///
/// # Errors
/// When the source lacks a subtree.
pub fn inclusion_proof(index: u64, size: u64, source: &impl Source) -> Result<Vec<Hash>, Missing> {
    inclusion_ranges(index, size).into_iter().map(|range| range_hash(range, source)).collect()
}

/// That the tree of `first` leaves is the beginning of the tree of `second` leaves: RFC 6962, 2.1.2.
///
/// # Errors
/// When the source lacks a subtree.
pub fn consistency_proof(first: u64, second: u64, source: &impl Source) -> Result<Vec<Hash>, Missing> {
    consistency_ranges(first, second).into_iter().map(|range| range_hash(range, source)).collect()
}

/// The largest power of two below `length`, which is at least 2.
fn split(length: u64) -> u64 {
    1 << (63 - (length - 1).leading_zeros())
}
