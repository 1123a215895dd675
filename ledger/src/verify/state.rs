//! The auditor's own file: how far everything was verified, the root of the tree there, and the books as they were, so that
//! the next verification goes on from there. It is the auditor's: who verifies the ledger's machine keeps it elsewhere.
//!
//! Two lines of JSON: the SHA-256 of the second one, and what it is of.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use schemas::books::{Account, ApiKey, Closed, Emitter, Hold, KeySpending, Lease, Published};
use schemas::ids::{AccountId, ApiKeyId, EmitterId};
use schemas::key_limits::KeyPeriod;
use schemas::merkle::{Edge, Frontier, Hash};
use schemas::price_book::PriceBook;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::facts::Facts;
use super::fold::{Counts, Fold};

const FORMAT: &str = "layers-verified/1";

#[derive(Serialize, Deserialize)]
struct Seal {
    format: String,
    sha256: String,
}

/// Everything that the fold goes on from.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// Verified up to here.
    pub(super) position: u64,
    /// Of the tree of all events up to there.
    pub(super) root: Hash,
    peaks: Vec<Hash>,
    open_tiles: Vec<Vec<Hash>>,
    recorded_at: Option<DateTime<Utc>>,
    accounts: Vec<Account>,
    leases: Vec<(EmitterId, AccountId, Lease)>,
    holds: Vec<(Hold, Facts)>,
    emitters: Vec<(EmitterId, Emitter)>,
    keys: Vec<ApiKey>,
    /// What keys with a cap spent.
    #[serde(default)]
    spending: Vec<(KeyPeriod, KeySpending)>,
    prices: Vec<(u64, Arc<PriceBook>)>,
    /// Entries of the quarantine that were dealt with.
    closed: Vec<(u64, Closed)>,
    fences: Vec<(EmitterId, u64)>,
    moved: Vec<(AccountId, u64, DateTime<Utc>)>,
    last_used: Vec<(ApiKeyId, DateTime<Utc>)>,
    counts: Counts,
}

impl State {
    /// What the fold and the tree are at.
    pub(super) fn of(fold: &Fold, tree: &Frontier) -> Self {
        let books = &fold.books;
        let facts = |hold: &Hold| fold.facts.get(&hold.request_id).cloned().unwrap_or_default();
        Self {
            position: fold.position,
            root: tree.edge().root(),
            peaks: tree.edge().peaks().to_vec(),
            open_tiles: tree.open().to_vec(),
            recorded_at: fold.recorded_at,
            accounts: books.accounts.values().cloned().collect(),
            leases: books.leases.iter().map(|(key, lease)| (key.0, key.1, *lease)).collect(),
            holds: books.holds.values().map(|hold| (*hold, facts(hold))).collect(),
            emitters: books.emitters.iter().map(|(id, emitter)| (*id, emitter.clone())).collect(),
            keys: books.keys.values().cloned().collect(),
            spending: books.spending.iter().map(|(period, spending)| (*period, *spending)).collect(),
            prices: books.prices.values().map(|published| (published.position, published.book.clone())).collect(),
            closed: books.closed.iter().map(|(entry, closed)| (*entry, *closed)).collect(),
            fences: fold.fences.iter().map(|(gateway, position)| (*gateway, *position)).collect(),
            moved: fold.moved.iter().map(|(account, at)| (*account, at.0, at.1)).collect(),
            last_used: fold.last_used.iter().map(|(key, time)| (*key, *time)).collect(),
            counts: fold.counts,
        }
    }

    /// As it was.
    pub(super) fn restore(self) -> Result<(Fold, Frontier)> {
        let edge = Edge::from_peaks(self.position, self.peaks)?;
        ensure!(edge.root() == self.root, "its root is not that of its tree");
        let tree = Frontier::from_parts(edge, self.open_tiles)?;
        let mut fold = Fold::default();
        fold.position = self.position;
        fold.recorded_at = self.recorded_at;
        let books = &mut fold.books;
        books.accounts = self.accounts.into_iter().map(|account| (account.account_id, account)).collect();
        books.leases = self.leases.into_iter().map(|(gateway, account, lease)| ((gateway, account), lease)).collect();
        books.emitters = self.emitters.into_iter().collect();
        books.keys = self.keys.into_iter().map(|key| (key.api_key_id, key)).collect();
        books.spending = self.spending.into_iter().collect();
        let published = |(position, book): (u64, Arc<PriceBook>)| (book.version, Published { position, book });
        books.prices = self.prices.into_iter().map(published).collect();
        books.closed = self.closed.into_iter().collect();
        for (hold, facts) in self.holds {
            books.holds.insert(hold.request_id, hold);
            fold.facts.insert(hold.request_id, facts);
        }
        fold.fences = self.fences.into_iter().collect();
        fold.moved = self.moved.into_iter().map(|(account, position, time)| (account, (position, time))).collect();
        fold.last_used = self.last_used.into_iter().collect();
        fold.counts = self.counts;
        Ok((fold, tree))
    }
}

/// Reads the file; none if there is none yet.
pub(super) fn read(file: &Path) -> Result<Option<State>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let parse = || -> Result<State> {
        let (seal, body) = text.split_once('\n').context("it has one line")?;
        let seal: Seal = serde_json::from_str(seal)?;
        ensure!(seal.format == FORMAT, "its format is '{}', not '{FORMAT}'", seal.format);
        ensure!(seal.sha256 == sha256(body), "it is damaged: its checksum is another");
        Ok(serde_json::from_str(body)?)
    };
    parse().map(Some).with_context(|| format!("{} is not a verified state", file.display()))
}

/// Writes the file: whole or not at all.
pub(super) fn write(file: &Path, state: &State) -> Result<()> {
    let mut body = serde_json::to_string(state)?;
    body.push('\n');
    let seal = serde_json::to_string(&Seal { format: FORMAT.to_owned(), sha256: sha256(&body) })?;
    let fresh = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut out = std::fs::File::create(&fresh)?;
        writeln!(out, "{seal}")?;
        out.write_all(body.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
