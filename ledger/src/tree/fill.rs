use schemas::merkle::{Hash, leaf_hash};
use sqlx::{Connection, PgConnection};

use super::load::frontier;
use super::store::store;
use crate::append::load::{LoadError, corrupt};

/// Events a transaction: some tens of tiles, and what is hashed twice after a kill is little.
const PAGE: i64 = 10_000;

/// Lets the tree catch up with the log, in a database from before the tree. Each page is a transaction under the epoch, so
/// it can be killed and goes on where it was.
pub(crate) async fn fill(db: &mut PgConnection, epoch: u64) -> Result<(), LoadError> {
    let head = sqlx::query!("select position, tree_size from ledger.head").fetch_one(&mut *db).await?;
    if head.tree_size == head.position {
        return Ok(());
    }
    tracing::info!(events = head.position - head.tree_size, "hashing the log into its tree");
    let mut tree = frontier(db).await?;
    while (tree.size() as i64) < head.position {
        let mut transaction = db.begin().await?;
        let rows = sqlx::query!(
            "select position, event from ledger.events where position > $1 and position <= $2 order by position",
            tree.size() as i64,
            head.position.min(tree.size() as i64 + PAGE)
        )
        .fetch_all(&mut *transaction)
        .await?;
        let whole = rows.iter().zip(tree.size() as i64 + 1..).all(|(row, position)| row.position == position);
        if rows.is_empty() || !whole {
            return Err(corrupt("events", format!("a position is missing after {}", tree.size())).into());
        }
        let grown = tree.extend(rows.iter().map(|row| leaf_hash(&row.event)));
        let edge = tree.edge();
        let moved = sqlx::query!(
            "update ledger.head set tree_size = $1, tree_peaks = $2 where epoch = $3",
            edge.size() as i64,
            Hash::concat(edge.peaks()),
            epoch as i64
        )
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() != 1 {
            return Err(corrupt("head", "another ledger has taken over").into());
        }
        store(&mut transaction, &grown).await?;
        transaction.commit().await?;
        tracing::info!(position = edge.size(), "hashed");
    }
    Ok(())
}
