use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use schemas::merkle::note::VerifierKey;
use schemas::merkle::{Checkpoint, Edge, Hash};
use serde::Serialize;

use super::folder::{self, Beside, CheckpointRow, Folder};
use super::segment::{SegmentReader, Stored};

/// What a folder was found to be.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Checked {
    /// The last position in it.
    pub position: u64,
    /// Root of the tree up to there.
    pub root: Hash,
    /// Segments.
    pub segments: u64,
    /// Checkpoints whose root was compared.
    pub checkpoints: u64,
    /// Up to here a signature by a key that was given covers it; absent where none was given.
    pub signed: Option<u64>,
}

type Segment = SegmentReader<BufReader<zstd::Decoder<'static, BufReader<File>>>>;

/// Walks through a folder from its first event to its last, and proves it on the way.
pub struct Walk {
    beside: Beside,
    keys: Vec<VerifierKey>,
    left: VecDeque<PathBuf>,
    at: Option<(PathBuf, Segment)>,
    edge: Edge,
    segments: u64,
    unseen: VecDeque<CheckpointRow>,
    checkpoints: u64,
    signed: u64,
}

impl Walk {
    /// Begins. With keys, everything that is signed must be signed by one of them.
    ///
    /// # Errors
    /// When it is no finished folder of an export.
    pub fn begin(folder: &Folder, keys: &[VerifierKey]) -> Result<Self> {
        let beside = folder.beside()?.context("it is no folder of an export, or one that was not finished")?;
        let left = folder.segments()?.into_iter().map(|(_, path)| path).collect();
        let unseen = beside.checkpoints.clone().into();
        let (keys, edge) = (keys.to_vec(), Edge::default());
        Ok(Self { beside, keys, left, at: None, edge, segments: 0, unseen, checkpoints: 0, signed: 0 })
    }

    /// What is beside the events.
    pub fn beside(&self) -> &Beside {
        &self.beside
    }

    /// The next event; none after the last one, when all is proved.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn read_next(&mut self) -> Result<Option<Stored>> {
        loop {
            if let Some((path, segment)) = &mut self.at {
                let named = || path.display().to_string();
                if let Some(stored) = segment.read_next().with_context(named)? {
                    self.edge = segment.edge().clone();
                    let path = path.clone();
                    self.compare_signed().with_context(|| path.display().to_string())?;
                    return Ok(Some(stored));
                }
                self.signed = self.signed.max(segment.signed());
                self.segments += 1;
            }
            let Some(path) = self.left.pop_front() else { break };
            let named = || path.display().to_string();
            let segment = SegmentReader::begin(folder::open(&path)?, &self.keys).with_context(named)?;
            let header = segment.header();
            let follows = header.first == self.edge.size() + 1 && header.before == self.edge.peaks();
            ensure!(follows, "{} does not follow position {}", path.display(), self.edge.size());
            self.at = Some((path, segment));
        }
        self.at = None;
        let (size, root) = (self.edge.size(), self.edge.root());
        ensure!(
            (size, root) == (self.beside.position, self.beside.root),
            "it ends at {size}, not {}",
            self.beside.position
        );
        ensure!(self.unseen.is_empty(), "more was signed than is there");
        Ok(None)
    }

    /// What was walked through.
    pub fn checked(&self) -> Checked {
        Checked {
            position: self.edge.size(),
            root: self.edge.root(),
            segments: self.segments,
            checkpoints: self.checkpoints,
            signed: (!self.keys.is_empty()).then_some(self.signed),
        }
    }

    fn compare_signed(&mut self) -> Result<()> {
        let size = self.edge.size();
        while let Some(row) = self.unseen.pop_front_if(|row| row.size <= size) {
            let text = row.note.rsplit_once("\n\n").map_or("", |(text, _)| text);
            let said: Checkpoint = format!("{text}\n").parse().with_context(|| format!("the note of size {size}"))?;
            let root = self.edge.root();
            if (row.size, row.root, said.size, said.root) != (size, root, size, root) {
                bail!("the checkpoint of size {} is not of these events: their root is {root}", row.size);
            }
            if !self.keys.is_empty() {
                Checkpoint::open(&row.note, &self.keys).with_context(|| format!("the note of size {size}"))?;
                self.signed = self.signed.max(size);
            }
            self.checkpoints += 1;
        }
        Ok(())
    }
}

/// Proves a whole folder, without a database. `tell` hears how far it is, and of how many.
///
/// # Errors
/// Names what is wrong.
pub fn check(folder: &Folder, keys: &[VerifierKey], mut tell: impl FnMut(u64, u64)) -> Result<Checked> {
    let mut walk = Walk::begin(folder, keys)?;
    let until = walk.beside().position;
    while let Some(stored) = walk.read_next()? {
        if stored.position % 1_024 == 0 {
            tell(stored.position, until);
        }
    }
    Ok(walk.checked())
}
