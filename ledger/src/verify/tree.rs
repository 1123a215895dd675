//! The tree over the events' bytes: each event against the leaf that was hashed when it was appended, each tile against the
//! one below, each checkpoint against the root at its size. All checkpoints are roots of one and the same tree, so each is
//! consistent with the one before.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Result;
use schemas::merkle::note::VerifierKey;
use schemas::merkle::{Checkpoint, Edge, Frontier, HEIGHT, Hash, Tile, Tiles, WIDTH, root};
use sqlx::PgConnection;

use super::read::Read;
use super::report::Report;
use crate::append::load::LoadError;

/// Checkpoints that are fetched at a time.
const CHECKPOINTS: i64 = 1_000;
/// Tiles of leaves that are in memory at a time.
const TILES: u64 = 64;

/// The tree as it grows along the log.
#[derive(Debug)]
pub(super) struct Tree {
    frontier: Frontier,
    /// Full tiles of leaves, as stored, by index: those round the events at hand.
    stored: BTreeMap<u64, Vec<Hash>>,
    /// Leaves in the tree as it is stored.
    size: u64,
    keys: Vec<VerifierKey>,
    next: VecDeque<Signed>,
    last_signed: u64,
    /// An event is missing whose leaf is nowhere: roots can no longer be computed.
    broken: bool,
}

#[derive(Debug)]
struct Signed {
    size: u64,
    root: Vec<u8>,
    note: String,
}

impl Tree {
    /// From what was verified before, or empty.
    pub(super) async fn begin(db: &mut PgConnection, from: Frontier, keys: Vec<VerifierKey>) -> Result<Self> {
        let size = sqlx::query_scalar!("select tree_size from ledger.head").fetch_one(db).await? as u64;
        let last_signed = from.size();
        let (stored, next) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { frontier: from, stored, size, keys, next, last_signed, broken: false })
    }

    /// As it is, to be verified on from here.
    pub(super) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The next events of the log.
    pub(super) async fn take(&mut self, db: &mut PgConnection, page: &[Read], report: &mut Report) -> Result<()> {
        let Some(last) = page.last() else { return Ok(()) };
        if self.broken {
            return Ok(());
        }
        let mut reads = page.iter().peekable();
        while self.frontier.size() < last.position {
            let until = last.position.min((self.frontier.size() / WIDTH as u64 + TILES) * WIDTH as u64);
            self.load(db, until, report).await?;
            let mut leaves = Vec::new();
            for position in self.frontier.size() + 1..=until {
                let read = reads.next_if(|read| read.position == position);
                match (read, self.leaf(position)) {
                    (Some(read), stored) => {
                        if stored.is_some_and(|stored| stored != read.leaf) {
                            let what = "its bytes are not those that were hashed into the tree when it was appended";
                            report.differs(Some(position), "tree", what);
                        }
                        leaves.push(stored.unwrap_or(read.leaf));
                    }
                    // It is missing, which was told of; its leaf holds its place.
                    (None, Some(stored)) => leaves.push(stored),
                    (None, None) => {
                        self.grow(db, leaves, report).await?;
                        self.broken = true;
                        let what = "it is missing and so is its leaf: no root after it can be computed";
                        report.differs(Some(position), "tree", what);
                        return Ok(());
                    }
                }
            }
            self.grow(db, leaves, report).await?;
        }
        Ok(())
    }

    /// After the last event: the open tiles, the edge in the head, and what was signed beyond.
    pub(super) async fn end(&mut self, db: &mut PgConnection, report: &mut Report) -> Result<()> {
        let size = self.frontier.size();
        if !self.broken {
            report.root = Some(self.frontier.edge().root());
            let open: Vec<(Tile, Vec<Hash>)> = (1..self.frontier.open().len())
                .filter_map(|level| {
                    let hashes = &self.frontier.open()[level];
                    let index = Tile::hashes_at(level as u8, size) / WIDTH as u64;
                    let tile = Tile { level: level as u8, index, width: hashes.len() as u16 };
                    (!hashes.is_empty()).then(|| (tile, hashes.clone()))
                })
                .collect();
            compare_tiles(db, &open, report).await?;
            self.compare_edge(db, report).await?;
        }
        self.count_tiles(db, report).await?;
        let beyond = sqlx::query_scalar!("select min(size) from ledger.checkpoints where size > $1", size as i64)
            .fetch_one(db)
            .await?;
        if let Some(signed) = beyond {
            let what = format!("positions to {signed} were signed, and the log ends at {size}");
            report.differs(Some(size + 1), "checkpoints", what);
        }
        Ok(())
    }

    fn leaf(&self, position: u64) -> Option<Hash> {
        let index = position - 1;
        let tile = self.stored.get(&(index / WIDTH as u64))?;
        tile.get((index % WIDTH as u64) as usize).copied()
    }

    /// Brings the tiles of leaves up to a position.
    async fn load(&mut self, db: &mut PgConnection, until: u64, report: &mut Report) -> Result<()> {
        let first = self.frontier.size() / WIDTH as u64;
        let last = (until - 1) / WIDTH as u64;
        self.stored.retain(|index, _| *index >= first);
        let known = self.stored.last_key_value().map_or(first, |(index, _)| index + 1);
        let rows = sqlx::query!(
            "select index, hashes from ledger.tiles where level = 0 and index between $1 and $2",
            known as i64,
            last as i64
        )
        .fetch_all(db)
        .await?;
        for row in rows {
            // That they are whole hashes is a constraint of the table.
            self.stored.insert(row.index as u64, Hash::many(&row.hashes).unwrap_or_default());
        }
        for index in known..=last {
            let is_full = (index + 1) * WIDTH as u64 <= self.size;
            if is_full && !self.stored.contains_key(&index) {
                report.differs(Some(index * WIDTH as u64 + 1), "tiles", format!("tile 0/{index} is missing"));
            }
        }
        Ok(())
    }

    /// Adds leaves, and looks at each checkpoint on the way.
    async fn grow(&mut self, db: &mut PgConnection, leaves: Vec<Hash>, report: &mut Report) -> Result<()> {
        let mut leaves = leaves.into_iter();
        let mut full = Vec::new();
        loop {
            if self.next.is_empty() {
                self.fetch_signed(db).await?;
            }
            let wanted = self.next.front().map_or(u64::MAX, |signed| signed.size);
            let room = usize::try_from(wanted - self.frontier.size()).unwrap_or(usize::MAX);
            let grown = self.frontier.extend(leaves.by_ref().take(room));
            full.extend(grown.0.into_iter().filter(|(tile, _)| tile.level > 0 && tile.is_full()));
            if self.frontier.size() < wanted {
                break;
            }
            if let Some(signed) = self.next.pop_front() {
                self.compare_signed(&signed, report);
                self.last_signed = signed.size;
            }
        }
        compare_tiles(db, &full, report).await
    }

    async fn fetch_signed(&mut self, db: &mut PgConnection) -> Result<()> {
        let rows = sqlx::query!(
            "select size, root, note from ledger.checkpoints where size > $1 order by size limit $2",
            self.last_signed as i64,
            CHECKPOINTS
        )
        .fetch_all(db)
        .await?;
        self.next.extend(rows.into_iter().map(|row| Signed { size: row.size as u64, root: row.root, note: row.note }));
        // Beyond the last one there is nothing to wait for.
        if self.next.is_empty() {
            self.next.push_back(Signed { size: u64::MAX, root: Vec::new(), note: String::new() });
        }
        Ok(())
    }

    fn compare_signed(&self, signed: &Signed, report: &mut Report) {
        let root = self.frontier.edge().root();
        let mut differs = |what: String| report.differs(Some(signed.size), "checkpoints", what);
        if signed.root != root.0 {
            let stored = Hash::from_slice(&signed.root).unwrap_or_else(|_| Hash::of_empty_tree());
            differs(format!("the root of positions 1 to {} is {root}, the checkpoint says {stored}", signed.size));
        }
        // The text is read whoever has signed it; whether it is believed is another question.
        let text = signed.note.rsplit_once("\n\n").map_or("", |(text, _)| text);
        match format!("{text}\n").parse::<Checkpoint>() {
            Ok(said) if (said.size, said.root) == (signed.size, root) => {}
            Ok(said) => differs(format!("the note says size {} and root {}, the tree {root}", said.size, said.root)),
            Err(error) => differs(format!("the note is none: {error}")),
        }
        if !self.keys.is_empty() {
            match Checkpoint::open(&signed.note, &self.keys) {
                Ok(_) => *report.signatures.get_or_insert_default() += 1,
                Err(error) => differs(format!("the note of size {} is not to be believed: {error}", signed.size)),
            }
        }
        report.checkpoints += 1;
    }

    async fn compare_edge(&self, db: &mut PgConnection, report: &mut Report) -> Result<()> {
        let head = sqlx::query!("select tree_size, tree_peaks from ledger.head").fetch_one(db).await?;
        let size = self.frontier.size();
        if head.tree_size as u64 != size {
            let what = format!("its tree has {} leaves, the log {size} events", head.tree_size);
            report.differs(Some(size.min(head.tree_size as u64) + 1), "head", what);
            return Ok(());
        }
        let peaks = Hash::many(&head.tree_peaks).unwrap_or_default();
        let edge = self.frontier.edge();
        for (index, (subtree, hash)) in edge.subtrees().into_iter().zip(edge.peaks()).enumerate() {
            if peaks.get(index) != Some(hash) {
                let range = subtree.leaves();
                let what = format!("positions {} to {} do not add up to the tree's edge", range.start + 1, range.end);
                report.differs(Some(range.start + 1), "head", what);
            }
        }
        Ok(())
    }

    /// Every tile that should be there was found. One more than those is no tile of this tree.
    async fn count_tiles(&self, db: &mut PgConnection, report: &mut Report) -> Result<()> {
        let size = self.frontier.size();
        let rows =
            sqlx::query!(r#"select level, count(*) as "count!", max(index) as "last!" from ledger.tiles group by 1"#)
                .fetch_all(db)
                .await?;
        for row in rows {
            let hashes = Tile::hashes_at(row.level as u8, size);
            let should = if row.level == 0 { hashes / WIDTH as u64 } else { hashes.div_ceil(WIDTH as u64) };
            if row.count as u64 > should {
                let position = (row.last as u64).checked_shl(u32::from(HEIGHT) * (row.level as u32 + 1));
                let what = format!("level {} has {} tiles, and a log of {size} has {should}", row.level, row.count);
                report.differs(position.map(|leaves| leaves + 1), "tiles", what);
            }
        }
        Ok(())
    }
}

/// Compares tiles above the leaves with those that are stored.
async fn compare_tiles(db: &mut PgConnection, tiles: &[(Tile, Vec<Hash>)], report: &mut Report) -> Result<()> {
    for (tile, hashes) in tiles {
        let stored = sqlx::query_scalar!(
            "select hashes from ledger.tiles where level = $1 and index = $2",
            i16::from(tile.level),
            tile.index as i64
        )
        .fetch_optional(&mut *db)
        .await?;
        let stored = Hash::many(&stored.unwrap_or_default()).unwrap_or_default();
        if stored == *hashes {
            continue;
        }
        let below = u32::from(HEIGHT) * u32::from(tile.level);
        let at = hashes.iter().zip(&stored).position(|(should, is)| should != is);
        let at = at.unwrap_or(hashes.len().min(stored.len())) as u64;
        let first = ((tile.index * WIDTH as u64 + at) << below) + 1;
        let what = format!(
            "hash {at} of tile {}/{} is not that of positions {first} to {}",
            tile.level,
            tile.index,
            first - 1 + (1 << below)
        );
        report.differs(Some(first), "tiles", what);
    }
    Ok(())
}

/// Whether the tree that is stored begins with one that was verified before.
pub(super) async fn begins_with(db: &mut PgConnection, edge: &Edge) -> Result<bool> {
    let size = edge.size();
    if size == 0 {
        return Ok(true);
    }
    let stored = sqlx::query_scalar!("select tree_size from ledger.head").fetch_one(&mut *db).await? as u64;
    match crate::tree::tiles(db, &Tiles::wanted(std::slice::from_ref(&(0..size))), stored).await {
        Ok(tiles) => Ok(stored >= size && root(size, &tiles).is_ok_and(|root| root == edge.root())),
        Err(LoadError::Corrupt(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
