use std::collections::BTreeSet;
use std::time::Duration;

use schemas::ids::{AccountId, RequestId};
use schemas::merkle::{Hash, Tile, Tiles, WIDTH};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// What of the log a gateway's role may read.
pub struct Log {
    pool: PgPool,
}

/// A checkpoint as it was signed.
pub(super) struct Signed {
    pub(super) size: u64,
    pub(super) root: Hash,
    pub(super) note: String,
}

/// An event's place and bytes.
pub(super) struct Entry {
    pub(super) position: u64,
    pub(super) bytes: Vec<u8>,
}

impl Log {
    /// A pool that connects when it is first asked. Its own, so that whoever reads tiles takes no connection from those who
    /// ask for their credits.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn open(database_url: &str) -> anyhow::Result<Self> {
        const CONNECTIONS: u32 = 4;
        const PATIENCE: Duration = Duration::from_secs(2);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        Ok(Self { pool: options.connect_lazy(database_url)? })
    }

    /// A request's events, if it is this account's.
    pub(super) async fn events(&self, account: AccountId, request: RequestId) -> Result<Vec<Entry>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"select position as "position!", event as "event!" from ledger.events_of_request($1, $2)"#,
            account.0,
            request.0
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| Entry { position: row.position as u64, bytes: row.event }).collect())
    }

    /// The event that published a price book.
    pub(super) async fn price_book(&self, version: u32) -> Result<Option<Entry>, sqlx::Error> {
        let row = sqlx::query!(
            r#"select position as "position!", event as "event!" from ledger.event_of_price_book($1)"#,
            version as i32
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Entry { position: row.position as u64, bytes: row.event }))
    }

    /// The newest checkpoint.
    pub(super) async fn checkpoint(&self) -> Result<Option<Signed>, sqlx::Error> {
        let newest = sqlx::query!("select size, root, note from ledger.checkpoints order by size desc limit 1");
        let Some(row) = newest.fetch_optional(&self.pool).await? else { return Ok(None) };
        let root = Hash::from_slice(&row.root).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Some(Signed { size: row.size as u64, root, note: row.note }))
    }

    /// Tiles by (level, index), as much of them as a tree of so many leaves has.
    pub(super) async fn tiles(&self, wanted: &BTreeSet<(u8, u64)>, size: u64) -> Result<Tiles, sqlx::Error> {
        let mut found = Tiles::default();
        for (level, index) in wanted {
            let Some(tile) = Tile::in_tree(*level, *index, size) else { continue };
            if let Some(bytes) = self.tile(tile).await? {
                found.insert(*level, *index, &bytes).map_err(|error| sqlx::Error::Decode(error.into()))?;
            }
        }
        Ok(found)
    }

    /// A tile's hashes, one after the other; none if the log is not as long. A partial tile is the beginning of what has
    /// become of it; the last one of leaves is hashed from the events.
    pub(super) async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, sqlx::Error> {
        let Ok(index) = i64::try_from(tile.index) else { return Ok(None) };
        let bytes = usize::from(tile.width) * Hash::LENGTH;
        let stored = sqlx::query_scalar!(
            "select substr(hashes, 1, $3) from ledger.tiles where level = $1 and index = $2",
            i16::from(tile.level),
            index,
            bytes as i32
        );
        let stored = stored.fetch_optional(&self.pool).await?.flatten();
        if stored.is_some() || tile.level > 0 {
            return Ok(stored.filter(|stored| stored.len() == bytes));
        }
        let Some(first) = index.checked_mul(WIDTH as i64) else { return Ok(None) };
        let leaves = sqlx::query_scalar!(
            r#"select hash as "hash!" from ledger.leaf_hashes($1, $2)"#,
            first,
            first.saturating_add(i64::from(tile.width))
        )
        .fetch_all(&self.pool)
        .await?;
        Ok((leaves.len() == usize::from(tile.width)).then(|| leaves.concat()))
    }
}
