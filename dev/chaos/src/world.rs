//! A running system, accounts that pay, and looks at both.
//!
//! Nothing here sleeps to wait for something to have happened: it looks again and again, for a while at most.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use stack::local::{Account, Stack, StackOptions};
use stack::process::Process;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ask::Ask;
use crate::client::{Client, Heard};

/// What is waited for normally takes milliseconds or a few seconds; a loaded machine takes longer.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// An answer of a process that lives.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Each account of a story has so many credits, far more than it spends.
pub const CREDITS: i64 = 1_000_000;

/// A running system with accounts that can pay.
#[derive(Debug)]
pub struct World {
    /// The system.
    pub stack: Stack,
    /// Who pays. Their requests are never limited.
    pub accounts: Vec<Account>,
    /// What each of them has bought, credits.
    pub credits: Vec<i64>,
    /// Asks.
    pub client: Client,
    /// How long it is waited for anything.
    pub patience: Duration,
    /// When the story began.
    pub begin: Instant,
}

impl World {
    /// Starts a system and opens an account with each of these amounts of credits.
    ///
    /// # Errors
    /// When something does not start.
    pub fn start(options: StackOptions, credits: Vec<i64>) -> Result<Self> {
        let begin = Instant::now();
        let stack = Stack::start_with(options)?;
        let accounts = stack.open_accounts("bench", &credits)?;
        let world = Self { stack, accounts, credits, client: Client::default(), patience: PATIENCE, begin };
        world.says("everything runs");
        Ok(world)
    }

    /// Starts a system, opens so many accounts, and lets the story happen. Where it goes wrong, logs and data are kept.
    ///
    /// # Panics
    /// With what went wrong, while the system is still there: then its folders are kept.
    pub async fn story(options: StackOptions, accounts: usize, tell: impl AsyncFnOnce(&Self) -> Result<()>) {
        let start = || Self::start(options, vec![CREDITS; accounts]);
        let world = blocking(start).unwrap_or_else(|error| panic!("{error:?}"));
        if let Err(error) = tell(&world).await {
            panic!("{error:?}");
        }
    }

    /// One request through one gateway.
    pub async fn ask(&self, gateway: usize, account: usize, ask: &Ask) -> Heard {
        self.client.ask(&self.stack.gateway_url(gateway), &self.accounts[account].key, ask).await
    }

    /// Begins many requests through one gateway, of all accounts in turn; the answer is what all of them heard.
    pub fn ask_all(&self, gateway: usize, asks: Vec<Ask>) -> impl Future<Output = Vec<Heard>> + use<> {
        let mut all = JoinSet::new();
        for (number, ask) in asks.into_iter().enumerate() {
            let (client, url) = (self.client.clone(), self.stack.gateway_url(gateway));
            let key = self.accounts[number % self.accounts.len()].key.clone();
            all.spawn(async move { client.ask(&url, &key, &ask).await });
        }
        all.join_all()
    }

    /// Asks one gateway until it answers; what it says before is kept too.
    pub async fn ask_until_answered(&self, gateway: usize, account: usize, ask: &Ask) -> Result<Vec<Heard>> {
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
    pub async fn until_leased(&self, gateway: usize, ask: &Ask) -> Result<Vec<Heard>> {
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
    pub fn says(&self, what: &str) {
        eprintln!("{:6.2} s: {what}", self.begin.elapsed().as_secs_f32());
    }

    /// Looks until there is something; an error counts as nothing, and the last one is told.
    pub async fn until<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + self.patience;
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
    pub async fn number(&self, sql: &'static str) -> Result<i64> {
        let mut db = self.db().await?;
        sqlx::query_scalar(sql).fetch_one(&mut db).await.with_context(|| sql.to_owned())
    }

    /// Waits for a number.
    pub async fn until_number(&self, sql: &'static str, expected: impl Fn(i64) -> bool) -> Result<i64> {
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

    /// A session as the database's owner.
    pub async fn db(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.stack.database_url()).await?)
    }

    /// How many calls the provider is answering now.
    pub fn in_flight(&self) -> Result<u64> {
        let bill = blocking(|| self.stack.simulator().bill())?;
        bill["in_flight"].as_u64().context("the bill has no in_flight")
    }

    /// Waits until the provider is answering so many calls.
    pub async fn until_in_flight(&self, expected: impl Fn(u64) -> bool) -> Result<u64> {
        self.until("calls at the provider", async || {
            let calls = self.in_flight()?;
            Ok(expected(calls).then_some(calls))
        })
        .await
    }

    /// One of a gateway's metrics.
    pub fn metric(&self, gateway: usize, name: &str) -> Result<i64> {
        Self::metric_of(&self.stack.gateway_url(gateway), name)
    }

    /// One of a process's metrics.
    pub fn metric_of(url: &str, name: &str) -> Result<i64> {
        let url = format!("{url}/metrics");
        let (_, text) = blocking(|| stack::http::get(&url, ANSWERED_WITHIN))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.with_context(|| format!("{url} has no {name}"))?.parse().context("no number")
    }

    /// What a gateway says of itself.
    pub fn health(&self, gateway: usize) -> Result<Value> {
        let url = format!("{}/health", self.stack.gateway_url(gateway));
        let (_, text) = blocking(|| stack::http::get(&url, ANSWERED_WITHIN))?;
        serde_json::from_str(&text).context(url)
    }

    /// One text from the database, about one id.
    pub async fn text_about(&self, sql: &'static str, id: &str) -> Result<String> {
        let mut db = self.db().await?;
        sqlx::query_scalar(sql).bind(id).fetch_one(&mut db).await.with_context(|| sql.to_owned())
    }

    /// Kills a process with SIGKILL, and waits until its supervisor has brought it back and it is ready.
    pub fn kill_and_wait(process: &Process) -> Result<()> {
        blocking(|| {
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
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
