use anyhow::{Context, Result, bail};
use chrono::TimeDelta;
use schemas::merkle;
use serde::Serialize;
use sqlx::PgConnection;

use super::month::Month;
use crate::place;

/// Where a month lies in the log, and what proves that part of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Which positions.
    pub positions: Positions,
    /// The first signed checkpoint that covers all of them; absent until there is one.
    pub checkpoint: Option<Checkpoint>,
    /// Nothing more can be recorded in the month.
    #[serde(skip)]
    pub is_final: bool,
}

/// The month's positions, of all accounts: those whose `recorded_at` falls into it, which never goes back. In a month
/// without events `until` is one less than `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Positions {
    pub from: u64,
    pub until: u64,
}

/// A signed checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// It covers the positions 1 to `size`.
    pub size: u64,
    /// Root of their Merkle tree, base64.
    pub root: String,
}

/// Cuts a month out of the log.
pub(super) async fn cut(db: &mut PgConnection, month: Month) -> Result<Cut> {
    // Times are counted in microseconds.
    let moment = TimeDelta::microseconds(1);
    let Some(before) = place::position_at(db, month.from() - moment).await? else {
        bail!("{month} has not begun");
    };
    let end = place::position_at(db, month.until() - moment).await?;
    let until = match end {
        Some(until) => until,
        None => sqlx::query_scalar!("select position from ledger.head").fetch_one(&mut *db).await?,
    };
    let positions = Positions { from: before as u64 + 1, until: until as u64 };
    Ok(Cut { positions, checkpoint: covering(db, until).await?, is_final: end.is_some() })
}

/// The first checkpoint whose tree has a position in it. Its signature is for the reader to verify.
async fn covering(db: &mut PgConnection, position: i64) -> Result<Option<Checkpoint>> {
    let note =
        sqlx::query_scalar!("select note from ledger.checkpoints where size >= $1 order by size limit 1", position)
            .fetch_optional(db)
            .await?;
    let Some(note) = note else { return Ok(None) };
    let (text, _) = note.rsplit_once("\n\n").context("a stored checkpoint is no signed note")?;
    let merkle::Checkpoint { origin, size, root } =
        format!("{text}\n").parse().context("a stored checkpoint cannot be read")?;
    Ok(Some(Checkpoint { origin, size, root: root.to_string() }))
}
