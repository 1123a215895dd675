use std::ops::Range;

/// A full subtree: `2^height` leaves from leaf `index · 2^height` on. Height 0 is a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Subtree {
    pub height: u8,
    pub index: u64,
}

impl Subtree {
    /// The leaves below it.
    pub fn leaves(self) -> Range<u64> {
        self.index << self.height..(self.index + 1) << self.height
    }
}

/// The full subtrees that a range of leaves falls into, from left to right: as few as can be. For the ranges of proofs, which
/// begin at a multiple of the power of two that covers them, they are one for each bit of the length, large ones first.
pub fn subtrees(range: Range<u64>) -> Vec<Subtree> {
    let mut found = Vec::new();
    let mut start = range.start;
    while start < range.end {
        let fits = 63 - (range.end - start).leading_zeros();
        let height = start.trailing_zeros().min(fits);
        found.push(Subtree { height: height as u8, index: start >> height });
        start += 1 << height;
    }
    found
}
