use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ledger::append::{State, Written, store};
use schemas::merkle::note::{BadKey, SignerKey, VerifierKey};
use schemas::merkle::{Checkpoint, leaf_hash};
use sqlx::{Connection, PgConnection};

use crate::Story;

/// Events a transaction: many, since nobody waits for them, and fewer where the log is short.
const BATCH: u64 = 8_192;

/// Makes a log, and can go on with it.
pub struct Maker {
    story: Story,
    signer: SignerKey,
    batch: u64,
    stored: Duration,
}

impl Maker {
    /// For a log of about so many events; the same for the same seed.
    ///
    /// # Errors
    /// When the seed leads to nothing that can be told.
    pub fn new(seed: u64, events: u64) -> Result<Self> {
        Ok(Self {
            story: Story::new(seed, events)?,
            signer: signer()?,
            batch: (events / 16).clamp(32, BATCH),
            stored: Duration::ZERO,
        })
    }

    /// Makes the log at least so long, in a migrated database that is empty or has what this maker made before; gives its last
    /// position. Each batch is signed. `tell` hears how far it is.
    ///
    /// # Errors
    /// When the database fails, or holds another log.
    pub async fn make(&mut self, db: &mut PgConnection, events: u64, mut tell: impl FnMut(u64)) -> Result<u64> {
        // Made anew when it is lost: nothing waits for the disk.
        sqlx::query("set synchronous_commit = off").execute(&mut *db).await?;
        while self.story.state.head.position < events {
            let left = (events - self.story.state.head.position).min(self.batch);
            let mut written = self.story.tell(usize::try_from(left)?)?;
            let begin = Instant::now();
            let leaves = written.events.iter().map(|row| leaf_hash(&row.bytes));
            written.tiles = self.story.state.tree.extend(leaves);
            self.write(db, &self.story.state, &written).await.context("a batch could not be stored")?;
            self.stored += begin.elapsed();
            self.story.stored();
            tell(self.story.state.head.position);
        }
        sqlx::query("analyze").execute(&mut *db).await?;
        Ok(self.story.state.head.position)
    }

    /// How long of that was hashing and storing: the rest is what gateways say, and what the books decide about it.
    pub fn stored(&self) -> Duration {
        self.stored
    }

    async fn write(&self, db: &mut PgConnection, state: &State, written: &Written) -> Result<()> {
        let mut transaction = db.begin().await?;
        store(&mut transaction, state, written).await?;
        let edge = state.tree.edge();
        let checkpoint =
            Checkpoint { origin: self.signer.verifier().name().to_owned(), size: edge.size(), root: edge.root() };
        sqlx::query("insert into ledger.checkpoints (size, root, note) values ($1, $2, $3)")
            .bind(i64::try_from(checkpoint.size)?)
            .bind(&checkpoint.root.0[..])
            .bind(checkpoint.sign(&self.signer))
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// The key that made-up books are signed with: everybody knows it.
fn signer() -> Result<SignerKey, BadKey> {
    SignerKey::from_seed("layers/books", *b"made-up books are signed by all.")
}

/// By which their signatures are believed.
///
/// # Errors
/// Never: the key is a constant.
pub fn verifier() -> Result<VerifierKey, BadKey> {
    Ok(signer()?.verifier().clone())
}
