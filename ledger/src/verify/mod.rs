//! Proof: all events are hashed and folded again, and everything derived must be what they add up to.
//!
//! | phase | looks at | memory |
//! |---|---|---|
//! | read | each event: its columns are what its bytes say | a few pages; a thread of its own |
//! | tree | each event against its leaf, tiles against tiles, checkpoints against roots | a few tiles |
//! | fold | positions, emitters' counters, times, rules of the books, what the ledger had to say next | accounts, keys, lives; open leases; requests under way |
//! | page | requests, references, notes, top-ups, the journal against their rows; what is final is forgotten | a page's rows |
//! | read models | at the projection's checkpoint, half-way through the fold: balances, keys, days | a chunk of rows |
//! | tables | accounts, leases, keys, emitters, prices; rows that are in no event | a chunk of rows |
//!
//! All of it in one snapshot of the database, so that a running system can be verified.

mod facts;
mod fold;
mod journal;
mod models;
mod read;
mod report;
mod requests;
mod small;
mod state;
mod sums;
mod tables;
mod tree;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
pub use fold::{Fold, Page};
pub use read::Read;
pub use report::{Difference, Report};
use schemas::merkle::Frontier;
use schemas::merkle::note::VerifierKey;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use self::requests::Models;
use self::state::State;
use self::tree::Tree;

/// How the log is to be verified; by default everything, from the first event, without a key.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Who may have signed checkpoints. Without a key their roots are compared, and nobody is believed.
    pub keys: Vec<VerifierKey>,
    /// The auditor's own file: read if it is there, written when all is well.
    pub state: Option<PathBuf>,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Last position folded.
    pub position: u64,
    /// The log's end.
    pub until: u64,
}

/// Verifies the books. What differs is in the report; an error means that it could not be looked at.
pub async fn verify(
    options: &PgConnectOptions,
    asked: &Asked,
    tell: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report> {
    let begin = Instant::now();
    let mut db = options.connect().await.context("cannot reach PostgreSQL")?;
    let mut snapshot = db.begin().await?;
    sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *snapshot).await?;
    let mut report = Report::default();
    let known = asked.state.as_deref().map(state::read).transpose()?.flatten();
    let verified = Pass::begin(&mut snapshot, options, asked, known, &mut report).await?.run(tell).await?;
    report.finish(begin.elapsed().as_secs_f64());
    snapshot.rollback().await?;
    if let (true, Some(file), Some(verified)) = (report.ok, &asked.state, verified) {
        state::write(file, &verified)?;
    }
    Ok(report)
}

/// One pass over the log.
struct Pass<'a> {
    db: &'a mut PgConnection,
    options: &'a PgConnectOptions,
    fold: Fold,
    tree: Tree,
    /// Compared until the fold is at their position.
    models: Option<Models>,
    resumed: bool,
    keep: bool,
    /// As of the read models' checkpoint, where the next verification has to go on.
    verified: Option<State>,
    report: &'a mut Report,
}

impl<'a> Pass<'a> {
    async fn begin(
        db: &'a mut PgConnection,
        options: &'a PgConnectOptions,
        asked: &Asked,
        known: Option<State>,
        report: &'a mut Report,
    ) -> Result<Self> {
        report.signatures = (!asked.keys.is_empty()).then_some(0);
        let resumed = known.is_some();
        let (fold, frontier) = match known {
            Some(known) => known.restore().context("the verified state")?,
            None => (Fold::default(), Frontier::default()),
        };
        report.after = fold.position;
        report.position = fold.position;
        if !tree::begins_with(db, frontier.edge()).await? {
            let what = format!("the tree of positions 1 to {} is not the one that was verified", fold.position);
            report.differs(Some(fold.position), "tree", what);
        }
        let tree = Tree::begin(db, frontier, asked.keys.clone()).await?;
        let mut models = models::live(db).await?;
        report.read_models_position = models.map(|models| models.position);
        if let Some(behind) = models.filter(|models| models.position < fold.position) {
            models = None;
            // At 0 no projector has run, then as now.
            let what = format!("at {}, behind what was verified before: they went back", behind.position);
            if behind.position > 0 {
                report.differs(Some(behind.position), "read models", what);
            }
        }
        Ok(Self { db, options, fold, tree, models, resumed, keep: asked.state.is_some(), verified: None, report })
    }

    async fn run(mut self, tell: &mut (dyn FnMut(Progress) + Send)) -> Result<Option<State>> {
        let until = sqlx::query_scalar!("select position from ledger.head").fetch_one(&mut *self.db).await? as u64;
        let snapshot =
            sqlx::query_scalar!(r#"select pg_export_snapshot() as "name!""#).fetch_one(&mut *self.db).await?;
        let (mut pages, thread) = read::read(self.options.clone(), snapshot, self.fold.position)?;
        while let Some(page) = pages.recv().await {
            let mut page = page?;
            if let Some(models) = self.models {
                // The checkpoint may lie within the page.
                let rest = page.split_off(page.partition_point(|read| read.position <= models.position));
                self.take(&page).await?;
                if !rest.is_empty() {
                    self.models(models).await?;
                }
                page = rest;
            }
            self.take(&page).await?;
            tell(Progress { position: self.fold.position, until });
        }
        thread.join().map_err(|_| anyhow::anyhow!("the thread that reads the log has failed"))?;
        if let Some(models) = self.models {
            self.models(models).await?;
        }
        self.fold.end(self.report);
        self.report.position = self.fold.position;
        self.tree.end(self.db, self.report).await?;
        if self.keep && self.verified.is_none() {
            self.verified = Some(State::of(&self.fold, self.tree.frontier()));
        }
        tables::compare(self.db, &mut self.fold, self.report).await?;
        Ok(self.verified)
    }

    async fn take(&mut self, page: &[Read]) -> Result<()> {
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(()) };
        let rows = requests::prepare(self.db, &mut self.fold, page, self.resumed).await?;
        small::prepare(self.db, &mut self.fold, page).await?;
        let mut touched = Page::default();
        for read in page {
            self.fold.take(read, &mut touched, self.report);
        }
        self.tree.take(self.db, page, self.report).await?;
        requests::compare(self.db, &mut self.fold, &touched, &rows, self.models, self.report).await?;
        let positions = (first.position, last.position);
        small::compare(self.db, &mut self.fold, &touched, positions, self.models, self.report).await
    }

    /// The fold is where the read models are.
    async fn models(&mut self, models: Models) -> Result<()> {
        self.models = None;
        if models.position > self.fold.position {
            let what = format!("at {}, and the log ends at {}", models.position, self.fold.position);
            self.report.differs(Some(self.fold.position + 1), "read models", what);
            return Ok(());
        }
        models::compare(self.db, &self.fold, models, self.report).await?;
        // From here on nothing is compared with them.
        self.fold.without_rows = models.position > 0;
        if self.keep && models.position > 0 {
            self.verified = Some(State::of(&self.fold, self.tree.frontier()));
        }
        Ok(())
    }
}
