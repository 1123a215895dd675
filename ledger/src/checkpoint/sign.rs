use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use schemas::merkle::note::SignerKey;
use schemas::merkle::{Checkpoint, Hash};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use super::checkpoints::Checkpoints;
use super::signed::Signed;
use crate::append::{Head, View};

/// Five a second at most, however many ask: those who ask within the pause share the next one.
const PAUSE: Duration = Duration::from_millis(200);

/// The one task that signs.
pub struct Signing {
    key: SignerKey,
    origin: String,
    every: Duration,
    pool: PgPool,
    view: watch::Receiver<View>,
    wanted: watch::Receiver<u64>,
    newest: watch::Sender<Option<Signed>>,
}

/// What became of one try.
enum Tried {
    /// Stored, now or before: the newest there is.
    Stored(Signed),
    /// Not now; the next try will tell.
    Away(anyhow::Error),
}

impl Signing {
    /// `newest` is the checkpoint that was stored last, which the log is known to go on from.
    pub fn new(
        (key, origin): (SignerKey, String),
        every: Duration,
        pool: PgPool,
        view: watch::Receiver<View>,
        newest: Option<Signed>,
    ) -> (Self, Checkpoints) {
        let (wanted, asked) = watch::channel(0);
        let (newest, known) = watch::channel(newest);
        let checkpoints = Checkpoints { wanted: Arc::new(wanted), newest: known, view: view.clone() };
        (Self { key, origin, every, pool, view, wanted: asked, newest }, checkpoints)
    }

    /// Signs for ever: when asked, and when there is news and it is time. Ends when another ledger has taken over.
    pub async fn run(mut self) -> Result<()> {
        let mut time = tokio::time::interval(self.every);
        time.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let size = self.size();
            tokio::select! {
                _ = time.tick() => {}
                asked = self.wanted.wait_for(|wanted| *wanted > size) => { asked.context("nobody can ask any more")?; }
            }
            let pause = Instant::now() + PAUSE;
            match self.sign().await? {
                None => {}
                Some(Tried::Stored(signed)) => {
                    tracing::debug!(position = signed.size, "signed a checkpoint");
                    self.newest.send_replace(Some(signed));
                }
                Some(Tried::Away(error)) => tracing::warn!(%error, "a checkpoint could not be stored"),
            }
            tokio::time::sleep_until(pause).await;
        }
    }

    fn size(&self) -> u64 {
        self.newest.borrow().as_ref().map_or(0, |signed| signed.size)
    }

    async fn sign(&self) -> Result<Option<Tried>> {
        let (head, edge) = {
            let view = self.view.borrow();
            (view.head, view.edge.clone())
        };
        let before = self.size();
        if head.position < before {
            bail!("the ledger stops: position {before} was signed, and the log ends at {}", head.position);
        }
        if head.position == before {
            return Ok(None);
        }
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: edge.size(), root: edge.root() };
        let note = checkpoint.sign(&self.key);
        let stored = match self.store(&head, &checkpoint, &note).await {
            Ok(stored) => stored,
            Err(error) => return Ok(Some(Tried::Away(error.into()))),
        };
        match stored {
            Some(signed) if signed.root == checkpoint.root => Ok(Some(Tried::Stored(signed))),
            Some(signed) => bail!("the ledger stops: position {} was signed with another root", signed.size),
            None => bail!("the ledger stops: another one has taken over"),
        }
    }

    /// Stores it if the epoch still is this ledger's. What was stored for this size before stays, and is what counts.
    async fn store(&self, head: &Head, checkpoint: &Checkpoint, note: &str) -> Result<Option<Signed>, sqlx::Error> {
        let size = checkpoint.size as i64;
        let mut transaction = self.pool.begin().await?;
        sqlx::query!(
            "insert into ledger.checkpoints (size, root, note)
             select $1, $2, $3 from ledger.head where epoch = $4 and position >= $1
             on conflict (size) do nothing",
            size,
            &checkpoint.root.0[..],
            note,
            head.epoch as i64
        )
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query!("select root, note from ledger.checkpoints where size = $1", size)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let root = Hash::from_slice(&row.root).map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(Some(Signed { size: checkpoint.size, root, note: row.note.into() }))
    }
}
