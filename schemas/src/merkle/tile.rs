use std::fmt;
use std::str::FromStr;

use super::subtree::Subtree;

/// Levels of the tree in one tile.
pub const HEIGHT: u8 = 8;
/// Hashes in a full tile.
pub const WIDTH: usize = 1 << HEIGHT;
/// 64 bits of leaves are 8 levels of tiles; the specification reserves more.
const LAST_LEVEL: u8 = 63;

/// Where a tile is, and how much of it is meant. At level 0 it holds leaf hashes; a hash at a level above is the root of a
/// full tile below. Its text is the path `<L>/<N>[.p/<W>]` of C2SP's tlog-tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// From 0.
    pub level: u8,
    /// Which of its level, from 0.
    pub index: u64,
    /// Hashes in it: 1 to 256, and 256 is full.
    pub width: u16,
}

impl Tile {
    /// The tile that shows a subtree's hash, and which of its hashes add up to it.
    pub fn of(subtree: Subtree) -> (u8, u64, std::ops::Range<usize>) {
        let (level, rest) = (subtree.height / HEIGHT, subtree.height % HEIGHT);
        let first = subtree.index << rest;
        let offset = (first % WIDTH as u64) as usize;
        (level, first / WIDTH as u64, offset..offset + (1 << rest))
    }

    /// How many hashes a level has in a tree of so many leaves.
    pub fn hashes_at(level: u8, size: u64) -> u64 {
        size.checked_shr(u32::from(level) * u32::from(HEIGHT)).unwrap_or(0)
    }

    /// The tile at this place in a tree of so many leaves; none if it is empty.
    pub fn in_tree(level: u8, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(WIDTH as u64)?;
        let width = Self::hashes_at(level, size).saturating_sub(before).min(WIDTH as u64);
        (width > 0).then_some(Self { level, index, width: width as u16 })
    }

    /// Whether nothing can be added to it.
    pub fn is_full(self) -> bool {
        usize::from(self.width) == WIDTH
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.level)?;
        let (mut groups, mut rest) = (vec![self.index % 1_000], self.index / 1_000);
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for group in groups.iter().skip(1).rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", groups[0])?;
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// Not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tile's path is <L>/<N>[.p/<W>], as in 0/x001/x234/067.p/8")]
pub struct BadTilePath;

impl FromStr for Tile {
    type Err = BadTilePath;
    /// Reads exactly what is written: no other text names the same tile.
    fn from_str(path: &str) -> Result<Self, BadTilePath> {
        let (level, place) = path.split_once('/').ok_or(BadTilePath)?;
        let (place, width) = match place.split_once(".p/") {
            Some((place, width)) => (place, width.parse().map_err(|_| BadTilePath)?),
            None => (place, WIDTH as u16),
        };
        let mut index = 0_u64;
        for group in place.split('/') {
            let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().map_err(|_| BadTilePath)?;
            index = index.checked_mul(1_000).and_then(|index| index.checked_add(digits)).ok_or(BadTilePath)?;
        }
        let tile = Self { level: level.parse().map_err(|_| BadTilePath)?, index, width };
        let there = tile.level <= LAST_LEVEL && (1..=WIDTH).contains(&usize::from(width)) && tile.to_string() == path;
        if there { Ok(tile) } else { Err(BadTilePath) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        for (level, index, width, path) in [
            (0, 0, 256, "0/000"),
            (4, 1_234_067, 8, "4/x001/x234/067.p/8"),
            (0, 1_000, 256, "0/x001/000"),
            (7, 999, 255, "7/999.p/255"),
            (0, u64::MAX, 1, "0/x018/x446/x744/x073/x709/x551/615.p/1"),
        ] {
            let tile = Tile { level, index, width };
            assert_eq!(tile.to_string(), path);
            assert_eq!(path.parse(), Ok(tile));
        }
        for bad in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/x000/000",
            "0/1000",
            "00/000",
            "64/000",
            "-1/000",
            "0/+01",
            "0/x01/000",
            "0/000.p/0",
            "0/000.p/256",
            "0/000.p/257",
            "0/000.p/01",
            "0/000.p",
            "0/000/",
            "/000",
            "data/000",
            "0/x001",
            "0/x018/x446/x744/x073/x709/x551/616",
        ] {
            assert_eq!(bad.parse::<Tile>(), Err(BadTilePath), "{bad}");
        }
    }

    #[test]
    fn a_tree_of_70000_leaves_has_the_tiles_of_the_specification() {
        let width = |level, index| Tile::in_tree(level, index, 70_000).map(|tile| tile.width);
        assert_eq!((width(0, 272), width(0, 273), width(0, 274)), (Some(256), Some(112), None));
        assert_eq!((width(1, 0), width(1, 1), width(1, 2)), (Some(256), Some(17), None));
        assert_eq!((width(2, 0), width(2, 1), width(3, 0), width(63, 0)), (Some(1), None, None, None));
        assert_eq!(Tile::in_tree(1, 0, 256).map(|tile| tile.width), Some(1));
    }
}
