use super::edge::Edge;
use super::hash::{Hash, fold};
use super::subtree::Subtree;
use super::tile::{HEIGHT, Tile, WIDTH};

/// A tree that grows: its right edge, and at each level the tile that is not full. What it writes are tiles: a tile of
/// level 0 once, when it is full (its leaves can be hashed again from at most 255 events); one of a level above whenever it
/// has grown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    edge: Edge,
    /// By level. A level that nothing has come to is not there.
    open: Vec<Vec<Hash>>,
}

/// Tiles that leaves have completed or made longer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grown(pub Vec<(Tile, Vec<Hash>)>);

/// What was stored is not one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrontier {
    /// A level has another number of hashes than the size says.
    #[error("the open tile of level {level} has {found} hashes, not {expected}")]
    Width {
        /// Of the tile.
        level: u8,
        /// By the size.
        expected: usize,
        /// As it is stored.
        found: usize,
    },
    /// The hashes of a level do not add up to the edge.
    #[error("the open tile of level {level} does not add up to the edge")]
    Hash {
        /// Of the tile.
        level: u8,
    },
}

impl Frontier {
    /// From what was stored: the edge, and at each level the hashes of the tile that is not full (at level 0 made from the
    /// last events).
    ///
    /// # Errors
    /// When they do not belong together.
    pub fn from_parts(edge: Edge, open: Vec<Vec<Hash>>) -> Result<Self, BadFrontier> {
        let levels = Self::levels(edge.size());
        for level in 0..levels.max(open.len()) {
            let expected = (Tile::hashes_at(level as u8, edge.size()) % WIDTH as u64) as usize;
            let found = open.get(level).map_or(0, Vec::len);
            if found != expected {
                return Err(BadFrontier::Width { level: level as u8, expected, found });
            }
        }
        let mut peaks = edge.peaks().iter().rev();
        for (level, hashes) in open.iter().enumerate() {
            let mut rest = hashes.as_slice();
            let mut found = Vec::new();
            // The peaks below this level's roof, from the right: the smallest is the last hashes of the tile.
            for bit in (0..HEIGHT).rev().filter(|bit| hashes.len() >> bit & 1 == 1) {
                let (these, after) = rest.split_at(1 << bit);
                found.push(fold(these));
                rest = after;
            }
            if !found.iter().rev().eq(peaks.by_ref().take(found.len())) {
                return Err(BadFrontier::Hash { level: level as u8 });
            }
        }
        Ok(Self { edge, open })
    }

    /// How many levels of tiles a tree of so many leaves has an open tile at, counted from 0; empty ones among them.
    pub fn levels(size: u64) -> usize {
        (64 - size.leading_zeros()).div_ceil(u32::from(HEIGHT)) as usize
    }

    /// Adds leaves in their order, and says which tiles are to be written: each once, as it is after all of them.
    pub fn extend(&mut self, leaves: impl IntoIterator<Item = Hash>) -> Grown {
        let mut full = Vec::new();
        let mut longer = 0;
        for leaf in leaves {
            let open = &mut self.open;
            self.edge.push_and(leaf, |Subtree { height, index }, hash| {
                if height % HEIGHT != 0 {
                    return;
                }
                let level = usize::from(height / HEIGHT);
                if open.len() <= level {
                    open.resize(level + 1, Vec::new());
                }
                open[level].push(hash);
                if open[level].len() == WIDTH {
                    let tile = Tile { level: level as u8, index: index / WIDTH as u64, width: WIDTH as u16 };
                    full.push((tile, std::mem::take(&mut open[level])));
                }
                longer = longer.max(level);
            });
        }
        let size = self.edge.size();
        let grown = (1..=longer).filter_map(|level| {
            let hashes = &self.open[level];
            let index = Tile::hashes_at(level as u8, size) / WIDTH as u64;
            let tile = Tile { level: level as u8, index, width: hashes.len() as u16 };
            (!hashes.is_empty()).then(|| (tile, hashes.clone()))
        });
        full.extend(grown);
        Grown(full)
    }

    /// The right edge.
    pub fn edge(&self) -> &Edge {
        &self.edge
    }

    /// How many leaves.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// At each level, the hashes of the tile that is not full.
    pub fn open(&self) -> &[Vec<Hash>] {
        &self.open
    }
}
