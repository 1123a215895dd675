use anyhow::{Context, Result};
use ledger::append::{State, Written, store};
use sqlx::{Connection, PgConnection};

use crate::Story;

/// Events a transaction: many, since nobody waits for them.
const BATCH: usize = 8_192;

/// Makes a log of at least so many events in a migrated, empty database; gives its last position. `tell` hears how far it is.
///
/// # Errors
/// When the database fails, or is not empty.
pub async fn make(db: &mut PgConnection, seed: u64, events: u64, mut tell: impl FnMut(u64)) -> Result<u64> {
    // Made anew when it is lost: nothing waits for the disk.
    sqlx::query("set synchronous_commit = off").execute(&mut *db).await?;
    let mut story = Story::new(seed, events)?;
    while story.state.head.position < events {
        let left = usize::try_from(events - story.state.head.position)?;
        let written = story.tell(left.min(BATCH))?;
        write(db, &story.state, &written).await.context("a batch could not be stored")?;
        story.stored();
        tell(story.state.head.position);
    }
    sqlx::query("analyze").execute(&mut *db).await?;
    Ok(story.state.head.position)
}

async fn write(db: &mut PgConnection, state: &State, written: &Written) -> Result<()> {
    let mut transaction = db.begin().await?;
    store(&mut transaction, state, written).await?;
    Ok(transaction.commit().await?)
}
