use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use schemas::merkle::{Edge, Hash, Tiles, consistency_proof, consistency_ranges, leaf_hash, root};
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row};

use super::folder::{self, Beside, CheckpointRow, Folder, LifeRow, QuarantineRow, RepeatRow};
use super::segment::{Header, SegmentReader, SegmentWriter};
use crate::tree;

/// Events in a full segment: 256 tiles of leaves.
pub const SEGMENT: u64 = 65_536;

/// What an export did.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Exported {
    /// The last position in the folder.
    pub position: u64,
    /// Root of the tree up to there.
    pub root: Hash,
    /// Up to here a signed checkpoint covers it.
    pub signed: u64,
    /// Segments in the folder.
    pub segments: u64,
    /// Of those, the ones that were there, whole and signed.
    pub kept: u64,
}

/// Writes the log into a folder, or goes on with one: full segments that a signature covers are kept as they are. `tell` hears
/// how far it is, and of how many.
///
/// # Errors
/// When the folder is of another log, or one of both cannot be read or written.
pub async fn export(
    db: &mut PgConnection,
    folder: &Folder,
    segment: u64,
    mut tell: impl FnMut(u64, u64),
) -> Result<Exported> {
    ensure!(segment > 0 && segment.is_multiple_of(256), "a segment is a multiple of 256 events");
    let mut snapshot = db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *snapshot).await?;
    let beside = beside(&mut snapshot).await?;
    let (size, mut kept) = (beside.position, 0);
    folder.create()?;
    let mut edge = Edge::default();
    for (first, path) in folder.segments()? {
        if first != edge.size() + 1 {
            break;
        }
        let reader = SegmentReader::begin(folder::open(&path)?, &[]).with_context(|| path.display().to_string())?;
        let header = reader.header();
        if header.last != edge.size() + segment || !header.is_signed_whole() {
            break;
        }
        let known = edge_at(&mut snapshot, header.last, size).await?;
        let same = known.as_ref().is_some_and(|edge| edge.root() == header.root);
        ensure!(same, "{} is of another log: positions 1 to {} have another root", path.display(), header.last);
        edge = known.unwrap_or_default();
        kept += 1;
    }
    let mut segments = kept;
    while edge.size() < size {
        let last = size.min(edge.size() + segment);
        edge = one(&mut snapshot, folder, &beside, edge, last).await?;
        segments += 1;
        tell(last, size);
    }
    ensure!(edge.root() == beside.root, "the events are not those of the tree: `ledger verify` says where");
    // What is beyond is of an older export, of larger segments.
    for (_, path) in folder.segments()?.into_iter().skip(segments as usize) {
        std::fs::remove_file(&path).with_context(|| path.display().to_string())?;
    }
    folder.write_beside(&beside)?;
    snapshot.rollback().await?;
    let signed = beside.checkpoints.last().map_or(0, |checkpoint| checkpoint.size);
    Ok(Exported { position: size, root: beside.root, signed, segments, kept })
}

/// Writes the segment that begins after an edge, and gives the edge after it.
async fn one(db: &mut PgConnection, folder: &Folder, beside: &Beside, before: Edge, last: u64) -> Result<Edge> {
    let first = before.size() + 1;
    let mut after = before.clone();
    let mut events: Vec<(DateTime<Utc>, Vec<u8>)> = Vec::new();
    let select =
        "select position, recorded_at, event from ledger.events where position between $1 and $2 order by position";
    let mut rows = sqlx::query(select).bind(first as i64).bind(last as i64).fetch(&mut *db);
    while let Some(row) = rows.try_next().await? {
        let position: i64 = row.try_get(0)?;
        let bytes: Vec<u8> = row.try_get(2)?;
        ensure!(position as u64 == after.size() + 1, "position {} is missing", after.size() + 1);
        after.push(leaf_hash(&bytes));
        events.push((row.try_get(1)?, bytes));
    }
    drop(rows);
    ensure!(after.size() == last, "position {} is missing", after.size() + 1);
    let mut header = Header::new(first, last, &before, after.root());
    if let Some(newest) = beside.checkpoints.last().filter(|checkpoint| checkpoint.size >= first) {
        header.checkpoint = Some(newest.note.clone());
        if newest.size > last {
            let ranges = consistency_ranges(last, newest.size);
            let tiles = tree::tiles(db, &Tiles::wanted(&ranges), beside.position).await?;
            header.consistency = consistency_proof(last, newest.size, &tiles)?;
        }
    }
    folder::write(&folder.segment(first), |out| {
        let mut writer = SegmentWriter::begin(out, &header)?;
        events.iter().try_for_each(|(recorded_at, bytes)| writer.push(*recorded_at, bytes))
    })?;
    Ok(after)
}

/// The right edge of the first so many events, by the tiles that are stored.
async fn edge_at(db: &mut PgConnection, at: u64, size: u64) -> Result<Option<Edge>> {
    if at > size {
        return Ok(None);
    }
    let subtrees = schemas::merkle::subtrees(0..at);
    let tiles = tree::tiles(db, &Tiles::wanted(std::slice::from_ref(&(0..at))), size).await?;
    let peaks: Option<Vec<Hash>> =
        subtrees.into_iter().map(|subtree| root_of(&tiles, subtree.leaves())).collect::<Option<_>>();
    Ok(peaks.map(|peaks| Edge::from_peaks(at, peaks)).transpose()?)
}

fn root_of(tiles: &Tiles, leaves: std::ops::Range<u64>) -> Option<Hash> {
    schemas::merkle::range_hash(leaves, tiles).ok()
}

async fn beside(db: &mut PgConnection) -> Result<Beside> {
    let head =
        sqlx::query!("select position, generation, epoch, tree_size from ledger.head").fetch_one(&mut *db).await?;
    let position = head.position as u64;
    ensure!(head.tree_size == head.position, "the log is not hashed yet: a ledger that starts does it");
    let tiles = tree::tiles(db, &Tiles::wanted(std::slice::from_ref(&(0..position))), position).await?;
    let root = root(position, &tiles)?;
    let checkpoints = sqlx::query!("select size, root, note, created_at from ledger.checkpoints order by size")
        .fetch_all(&mut *db)
        .await?;
    let checkpoints = checkpoints
        .into_iter()
        .map(|row| {
            let root = Hash::from_slice(&row.root)?;
            Ok(CheckpointRow { size: row.size as u64, root, note: row.note, created_at: row.created_at })
        })
        .collect::<Result<_>>()?;
    let lives = sqlx::query_as!(
        LifeRow,
        "select gateway, process, generation, gates, state, closed_gates, registered_at from ledger.lives order by gateway"
    )
    .fetch_all(&mut *db)
    .await?;
    let quarantine = sqlx::query_as!(
        QuarantineRow,
        r#"select id, received_at, generation, stream_seq, subject, emitter, seq, reason, encode(message, 'hex') as "message!", state, position,
                  retry_reason, retried_at
           from ledger.quarantine order by id"#
    )
    .fetch_all(&mut *db)
    .await?;
    let repeats = sqlx::query_as!(RepeatRow, "select emitter, count, last_at from ledger.repeats order by emitter")
        .fetch_all(db)
        .await?;
    let (generation, epoch) = (head.generation as u64, head.epoch as u64);
    Ok(Beside { format: Beside::format(), position, root, generation, epoch, checkpoints, lives, quarantine, repeats })
}
