use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::hash::{Hash, fold};
use super::prove::Source;
use super::subtree::{Subtree, subtrees};
use super::tile::{Tile, WIDTH};

/// Tiles at hand: what proofs are made from.
#[derive(Clone, Debug, Default)]
pub struct Tiles(HashMap<(u8, u64), Vec<Hash>>);

/// Not between 1 and 256 whole hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tile {level}/{index} has {bytes} bytes: not 1 to 256 hashes")]
#[allow(missing_docs)]
pub struct BadTile {
    pub level: u8,
    pub index: u64,
    pub bytes: usize,
}

impl Tiles {
    /// Takes a tile, as it is stored. One that holds more than is asked of it is fine.
    ///
    /// # Errors
    /// When it is not between 1 and 256 whole hashes.
    pub fn insert(&mut self, level: u8, index: u64, bytes: &[u8]) -> Result<(), BadTile> {
        let bad = BadTile { level, index, bytes: bytes.len() };
        let hashes = Hash::many(bytes).map_err(|_| bad)?;
        if !(1..=WIDTH).contains(&hashes.len()) {
            return Err(bad);
        }
        self.0.insert((level, index), hashes);
        Ok(())
    }

    /// The hashes of a tile, as far as it was taken in.
    pub fn get(&self, level: u8, index: u64) -> Option<&[Hash]> {
        self.0.get(&(level, index)).map(Vec::as_slice)
    }

    /// The root of a full tile, from its own hashes. The level above says the same, if nobody has changed either.
    pub fn root_of_full(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).filter(|hashes| hashes.len() == WIDTH).map(|hashes| fold(hashes))
    }

    /// (level, index) of the tiles in which the hashes of these ranges of leaves are found.
    pub fn wanted(ranges: &[Range<u64>]) -> BTreeSet<(u8, u64)> {
        let all = ranges.iter().flat_map(|range| subtrees(range.clone()));
        all.map(Tile::of).map(|(level, index, _)| (level, index)).collect()
    }
}

impl Source for Tiles {
    fn hash(&self, subtree: Subtree) -> Option<Hash> {
        let (level, index, hashes) = Tile::of(subtree);
        self.0.get(&(level, index))?.get(hashes).map(fold)
    }
}
