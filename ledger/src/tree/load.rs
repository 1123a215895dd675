use std::collections::BTreeSet;

use schemas::merkle::{Edge, Frontier, HEIGHT, Hash, Source, Subtree, Tile, Tiles, WIDTH, leaf_hash, root};
use sqlx::PgConnection;

use crate::append::load::{LoadError, corrupt};
use crate::checkpoint::Signed;

/// The tree of a log that ends at this position, where it and the newest checkpoint fit each other.
///
/// # Errors
/// `Corrupt` when anything that was read is not what the ledger wrote; nothing may be appended to such a log.
pub(crate) async fn load(db: &mut PgConnection, position: u64) -> Result<Frontier, LoadError> {
    let tree = frontier(db).await?;
    if tree.size() != position {
        return Err(corrupt("head", format!("the tree has {} leaves, the log {position} events", tree.size())).into());
    }
    last_checkpoint(db, position).await?;
    Ok(tree)
}

/// The tree as it grows on: the edge of the head, with the open tiles and the last full one of each level, which must add up
/// to it.
///
/// # Errors
/// `Corrupt` when anything that was read is not what the ledger wrote; nothing may be appended to such a log.
pub(super) async fn frontier(db: &mut PgConnection) -> Result<Frontier, LoadError> {
    let head = sqlx::query!("select tree_size, tree_peaks from ledger.head").fetch_one(&mut *db).await?;
    let peaks = Hash::many(&head.tree_peaks).map_err(|error| corrupt("head", error))?;
    let edge = Edge::from_peaks(head.tree_size as u64, peaks).map_err(|error| corrupt("head", error))?;
    let size = edge.size();
    let ends: BTreeSet<(u8, u64)> = (0..Frontier::levels(size) as u8)
        .flat_map(|level| {
            let open = open_index(level, size);
            [Some((level, open)), open.checked_sub(1).map(|full| (level, full))]
        })
        .flatten()
        .collect();
    let tiles = tiles(db, &ends, size).await?;
    let open = (0..Frontier::levels(size) as u8)
        .map(|level| tiles.get(level, open_index(level, size)).unwrap_or_default().to_vec())
        .collect();
    let frontier = Frontier::from_parts(edge, open).map_err(|error| corrupt("tiles", error))?;
    for (level, full) in ends.into_iter().filter(|(level, index)| *index < open_index(*level, size)) {
        let above = tiles.hash(Subtree { height: (level + 1) * HEIGHT, index: full });
        if above.is_none() || tiles.root_of_full(level, full) != above {
            return Err(corrupt("tiles", format!("tile {level}/{full} is not what the level above says")).into());
        }
    }
    Ok(frontier)
}

/// Of the tile that is not full.
fn open_index(level: u8, size: u64) -> u64 {
    Tile::hashes_at(level, size) / WIDTH as u64
}

/// Tiles by (level, index), of a tree of so many leaves; those that are not there are left out. The open tile of leaves is
/// made from the events.
pub(crate) async fn tiles(db: &mut PgConnection, wanted: &BTreeSet<(u8, u64)>, size: u64) -> Result<Tiles, LoadError> {
    let mut found = Tiles::default();
    let open = open_index(0, size);
    let stored = || wanted.iter().filter(|place| **place != (0, open));
    let levels: Vec<i16> = stored().map(|(level, _)| i16::from(*level)).collect();
    let indexes: Vec<i64> = stored().map(|(_, index)| *index as i64).collect();
    let rows = sqlx::query!(
        "select level, index, hashes from ledger.tiles
         join unnest($1::smallint[], $2::bigint[]) as wanted(level, index) using (level, index)",
        &levels,
        &indexes
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        found.insert(row.level as u8, row.index as u64, &row.hashes).map_err(|error| corrupt("tiles", error))?;
    }
    let first = open * WIDTH as u64;
    if wanted.contains(&(0, open)) && first < size {
        let rows = sqlx::query!(
            "select event from ledger.events where position > $1 and position <= $2 order by position",
            first as i64,
            size as i64
        )
        .fetch_all(db)
        .await?;
        let leaves: Vec<Hash> = rows.iter().map(|row| leaf_hash(&row.event)).collect();
        if !leaves.is_empty() {
            found.insert(0, open, &Hash::concat(&leaves)).map_err(|error| corrupt("tiles", error))?;
        }
    }
    Ok(found)
}

/// The newest checkpoint, which must be of this tree.
///
/// # Errors
/// `Corrupt` when the tree is not a continuation of what was signed: a log must not sign two histories.
pub(crate) async fn last_checkpoint(db: &mut PgConnection, size: u64) -> Result<Option<Signed>, LoadError> {
    let newest = sqlx::query!("select size, root, note from ledger.checkpoints order by size desc limit 1");
    let Some(row) = newest.fetch_optional(&mut *db).await? else { return Ok(None) };
    let signed = Signed {
        size: row.size as u64,
        root: Hash::from_slice(&row.root).map_err(|error| corrupt("checkpoints", error))?,
        note: row.note.into(),
    };
    if signed.size > size {
        let what = format!("position {} was signed, and the log ends at {size}", signed.size);
        return Err(corrupt("checkpoints", what).into());
    }
    let tiles = tiles(db, &Tiles::wanted(std::slice::from_ref(&(0..signed.size))), size).await?;
    match root(signed.size, &tiles) {
        Ok(root) if root == signed.root => Ok(Some(signed)),
        Ok(_) => {
            Err(corrupt("checkpoints", format!("the log up to position {} is not what was signed", signed.size)).into())
        }
        Err(missing) => Err(corrupt("tiles", missing).into()),
    }
}
