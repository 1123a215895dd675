//! What the failure tests share: a running system, accounts that pay, clients, a load, and the proof at the end.
//!
//! Nothing here sleeps to wait for something to have happened: it looks again and again, for a minute at most.

mod client;
mod load;
mod paused;
mod proof;
mod stream;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use stack::local::{Account, Stack, StackOptions};
use stack::process::Process;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use client::{Ask, Client, Ended, Heard};
pub(crate) use load::Load;
pub(crate) use proof::OPEN_HOLDS;

/// What is waited for normally takes milliseconds or a few seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Each account has so many credits, far more than a test spends.
pub(crate) const CREDITS: i64 = 1_000_000;

/// A running system with accounts that can pay.
pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) accounts: Vec<Account>,
    pub(crate) client: Client,
    begin: Instant,
}

impl World {
    /// Starts a system, opens so many accounts, whose requests are never limited, and lets the story happen. Where it goes
    /// wrong, logs and data are kept.
    ///
    /// # Panics
    /// With what went wrong, while the system is still there: then its folders are kept.
    pub(crate) async fn story(options: StackOptions, accounts: usize, tell: impl AsyncFnOnce(&Self) -> Result<()>) {
        let begin = Instant::now();
        let start = || -> Result<Self> {
            let stack = Stack::start_with(options)?;
            let open = |_| stack.open_account("bench", &CREDITS.to_string());
            let accounts = (0..accounts).map(open).collect::<Result<_>>()?;
            let world = Self { stack, accounts, client: Client::new(), begin };
            world.says("everything runs");
            Ok(world)
        };
        let world = blocking(start).unwrap_or_else(|error| panic!("{error:?}"));
        if let Err(error) = tell(&world).await {
            panic!("{error:?}");
        }
    }

    /// One request through one gateway.
    pub(crate) async fn ask(&self, gateway: usize, account: usize, ask: &Ask) -> Heard {
        self.client.ask(&self.stack.gateway_url(gateway), &self.accounts[account].key, ask).await
    }

    /// Begins many requests through one gateway, of all accounts in turn; the answer is what all of them heard.
    pub(crate) fn ask_all(&self, gateway: usize, asks: Vec<Ask>) -> impl Future<Output = Vec<Heard>> + use<> {
        let mut all = JoinSet::new();
        for (number, ask) in asks.into_iter().enumerate() {
            let (client, url) = (self.client.clone(), self.stack.gateway_url(gateway));
            let key = self.accounts[number % self.accounts.len()].key.clone();
            all.spawn(async move { client.ask(&url, &key, &ask).await });
        }
        all.join_all()
    }

    /// Asks one gateway until it answers; what it says before is kept too.
    pub(crate) async fn ask_until_answered(&self, gateway: usize, account: usize, ask: &Ask) -> Result<Vec<Heard>> {
        let mut all = Vec::new();
        self.until(&format!("gateway {gateway} answers again"), async || {
            let heard = self.ask(gateway, account, ask).await;
            let complete = heard.complete().is_some();
            all.push(heard);
            Ok(complete.then_some(()))
        })
        .await?;
        Ok(all)
    }

    /// Asks a gateway for the first account until much more is leased to it than `ask` costs: leases follow the spending.
    pub(crate) async fn until_leased(&self, gateway: usize, ask: &Ask) -> Result<Vec<Heard>> {
        const MUCH: i64 = 8 * 1_000_000_000;
        let mut all = Vec::new();
        self.until("a lease of some size", async || {
            all.push(self.ask(gateway, 0, ask).await);
            Ok((self.metric(gateway, "layers_leased_free_nanocredits")? > MUCH).then_some(()))
        })
        .await?;
        Ok(all)
    }

    /// Says to people who watch how far the story is.
    pub(crate) fn says(&self, what: &str) {
        eprintln!("{:6.2} s: {what}", self.begin.elapsed().as_secs_f32());
    }

    /// Looks until there is something; an error counts as nothing, and the last one is told.
    pub(crate) async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match look().await {
                Ok(Some(found)) => {
                    self.says(what);
                    return Ok(found);
                }
                Ok(None) => None,
                Err(error) => Some(error),
            };
            if Instant::now() > deadline {
                bail!("waited in vain: {what} ({last:?}); logs are in {}", self.stack.dir().display());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// One number from the database, as its owner sees it. A new session each time: the server may have been killed.
    pub(crate) async fn number(&self, sql: &'static str) -> Result<i64> {
        let mut db = self.db().await?;
        sqlx::query_scalar(sql).fetch_one(&mut db).await.with_context(|| sql.to_owned())
    }

    /// Waits for a number.
    pub(crate) async fn until_number(&self, sql: &'static str, expected: impl Fn(i64) -> bool) -> Result<i64> {
        let mut last = None;
        let found = self
            .until(sql, async || {
                let number = self.number(sql).await?;
                last = Some(number);
                Ok(expected(number).then_some(number))
            })
            .await;
        found.with_context(|| format!("the last number was {last:?}"))
    }

    pub(crate) async fn db(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.stack.database_url()).await?)
    }

    /// How many calls the provider is answering now.
    pub(crate) fn in_flight(&self) -> Result<u64> {
        let bill = tokio::task::block_in_place(|| self.stack.simulator().bill())?;
        bill["in_flight"].as_u64().context("the bill has no in_flight")
    }

    /// Waits until the provider is answering so many calls.
    pub(crate) async fn until_in_flight(&self, expected: impl Fn(u64) -> bool) -> Result<u64> {
        self.until("calls at the provider", async || {
            let calls = self.in_flight()?;
            Ok(expected(calls).then_some(calls))
        })
        .await
    }

    /// One of a gateway's metrics.
    pub(crate) fn metric(&self, gateway: usize, name: &str) -> Result<i64> {
        let url = format!("{}/metrics", self.stack.gateway_url(gateway));
        let (_, text) = tokio::task::block_in_place(|| stack::http::get(&url, Duration::from_secs(10)))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("{url} has no {name}"))?.parse().context("no number")
    }

    /// What a gateway says of itself.
    pub(crate) fn health(&self, gateway: usize) -> Result<Value> {
        let url = format!("{}/health", self.stack.gateway_url(gateway));
        let (_, text) = blocking(|| stack::http::get(&url, Duration::from_secs(10)))?;
        serde_json::from_str(&text).context(url)
    }

    /// One text from the database, about one id.
    pub(crate) async fn text_about(&self, sql: &'static str, id: &str) -> Result<String> {
        let mut db = self.db().await?;
        sqlx::query_scalar(sql).bind(id).fetch_one(&mut db).await.with_context(|| sql.to_owned())
    }

    /// Kills a process with SIGKILL, and waits until its supervisor has brought it back and it is ready.
    pub(crate) fn kill_and_wait(process: &Process) -> Result<()> {
        tokio::task::block_in_place(|| {
            let before = process.pid();
            process.kill();
            let deadline = std::time::Instant::now() + PATIENCE;
            while process.pid().is_none_or(|pid| Some(pid) == before) {
                anyhow::ensure!(std::time::Instant::now() < deadline, "{} is not started again", process.name());
                std::thread::sleep(LOOK_EVERY);
            }
            process.wait_ready_within(PATIENCE)
        })
    }
}

/// Runs something that blocks.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
