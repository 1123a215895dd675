//! Credits that one gateway has leased and does not use are recalled when another one needs them, so that the last credit
//! can be spent wherever it is asked for.
//!
//! | phase | waits for |
//! |---|---|
//! | turn | who asked before for the same account: first come, first served, whole |
//! | grant | a commit; most requests end here |
//! | recall | each holder's answer, the largest first, until enough was given up |
//! | grant | the returns being appended, and a commit |
//!
//! A correction that takes credits goes the same way: it is refused before it takes less than the account has.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use parking_lot::Mutex;
use schemas::ids::{AccountId, EmitterId};
use schemas::message::{AdjustCredits, LeaseReply, LeaseRequest, Recall, Recalled, RefusalCode};
use schemas::money::Nanocredits;
use schemas::subject::Cell;
use sqlx::PgPool;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::append::{Outcome, Submit, View};
use crate::command::GrantLease;

/// A gateway that has not answered by then keeps what it has, for now.
const ANSWERED_WITHIN: Duration = Duration::from_millis(60);
/// What was given up is appended by then, or the asker is answered without it and asks again.
const APPENDED_WITHIN: Duration = Duration::from_millis(100);
/// A correction is tried so often before its sender is told to come again: what is free changes while requests run.
const CORRECTION_ROUNDS: usize = 5;

/// Grants leases, with recalls.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Leases {
    pub client: async_nats::Client,
    pub cell: Cell,
    pub submit: Submit,
    pub view: watch::Receiver<View>,
    pub pool: PgPool,
    /// Recalls that were made.
    pub recalls: Arc<Recalls>,
    turns: Arc<Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Counts recalls.
#[derive(Debug, Default)]
pub struct Recalls {
    count: AtomicU64,
    wait_us: AtomicU64,
}

impl Recalls {
    /// How many were made.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How long who asked waited for them in all, microseconds.
    pub fn wait_us(&self) -> u64 {
        self.wait_us.load(Ordering::Relaxed)
    }

    fn made(&self, since: Instant) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.wait_us.fetch_add(u64::try_from(since.elapsed().as_micros()).unwrap_or(0), Ordering::Relaxed);
    }
}

/// What a gateway holds unused of an account.
struct Holder {
    gateway: EmitterId,
    free: Nanocredits,
    returned: Nanocredits,
}

impl Leases {
    /// Over this connection.
    pub fn new(
        client: async_nats::Client,
        cell: Cell,
        submit: Submit,
        view: watch::Receiver<View>,
        pool: PgPool,
    ) -> Self {
        Self { client, cell, submit, view, pool, recalls: Arc::default(), turns: Arc::default() }
    }

    /// Answers a lease request.
    pub async fn lease(&self, ask: LeaseRequest) -> Outcome {
        let _turn = self.turn(ask.account_id).await;
        let first = self.submit.command_ahead(GrantLease(ask)).await?;
        let Some(lacking) = lacking(&ask, &first) else { return Ok(first) };
        match self.recall(&ask, lacking).await {
            Ok(true) => self.submit.command_ahead(GrantLease(ask)).await,
            Ok(false) => Ok(first),
            Err(error) => {
                tracing::warn!(account.id = %ask.account_id, error = %format!("{error:#}"), "a recall failed");
                Ok(first)
            }
        }
    }

    /// Carries out an adjustment; what it takes is recalled first from the gateways that hold it.
    pub async fn adjust(&self, ask: AdjustCredits) -> Outcome {
        let _turn = self.turn(ask.account_id).await;
        let mut outcome = self.submit.command_ahead(ask.clone()).await;
        for _ in 0..CORRECTION_ROUNDS {
            if !outcome.as_ref().is_err_and(|refusal| refusal.code == RefusalCode::CreditsLeased) {
                break;
            }
            if let Err(error) = self.recall_for(&ask).await {
                tracing::warn!(account.id = %ask.account_id, error = %format!("{error:#}"), "a recall failed");
            }
            outcome = self.submit.command_ahead(ask.clone()).await;
        }
        outcome
    }

    /// Recalls as much as an adjustment takes, as far as gateways give it up.
    async fn recall_for(&self, ask: &AdjustCredits) -> Result<()> {
        let need = Nanocredits::ZERO.minus(ask.amount)?;
        let holders = self.holders(ask.account_id, None).await?;
        self.recall_from(ask.account_id, holders, need).await?;
        Ok(())
    }

    /// True if enough was given up and is appended.
    async fn recall(&self, ask: &LeaseRequest, lacking: Nanocredits) -> Result<bool> {
        let holders = self.holders(ask.account_id, Some(ask.gateway)).await?;
        let everything = holders.iter().try_fold(Nanocredits::ZERO, |sum, holder| sum.plus(holder.free))?;
        if everything < lacking {
            // Served whole or not at all: the rest is in open holds, and comes back by itself.
            return Ok(false);
        }
        self.recall_from(ask.account_id, holders, lacking).await
    }

    /// True if enough was given up and is appended; whatever was given up is waited for.
    async fn recall_from(&self, account_id: AccountId, holders: Vec<Holder>, need: Nanocredits) -> Result<bool> {
        let since = Instant::now();
        let recalled = async {
            let (promised, still) = self.ask_back(account_id, holders, need).await?;
            Ok(self.appended(account_id, &promised).await? && still <= Nanocredits::ZERO)
        };
        let enough = recalled.await;
        self.recalls.made(since);
        enough
    }

    /// Asks each holder, the largest first, until enough is given up. Gives the totals that they promised, and what is
    /// lacking still.
    async fn ask_back(
        &self,
        account_id: AccountId,
        holders: Vec<Holder>,
        need: Nanocredits,
    ) -> Result<(Vec<(EmitterId, Nanocredits)>, Nanocredits)> {
        let mut still = need;
        let mut promised = Vec::new();
        for holder in holders {
            if still <= Nanocredits::ZERO {
                break;
            }
            let recall = Recall { account_id, need: still };
            let payload = serde_json::to_vec(&recall)?.into();
            let asked = self.client.request(self.cell.recall(holder.gateway), payload);
            let Ok(Ok(message)) = timeout(ANSWERED_WITHIN, asked).await else { continue };
            let recalled: Recalled = serde_json::from_slice(&message.payload).context("a recall's answer")?;
            let given = recalled.returned_total.minus_or_zero(holder.returned);
            if given > Nanocredits::ZERO {
                still = still.minus_or_zero(given);
                promised.push((holder.gateway, recalled.returned_total));
            }
        }
        Ok((promised, still))
    }

    /// Waits until what was given up is in the books.
    async fn appended(&self, account_id: AccountId, promised: &[(EmitterId, Nanocredits)]) -> Result<bool> {
        let deadline = Instant::now() + APPENDED_WITHIN;
        let mut view = self.view.clone();
        let gateways: Vec<_> = promised.iter().map(|(gateway, _)| gateway.0).collect();
        let totals: Vec<_> = promised.iter().map(|(_, total)| total.get()).collect();
        loop {
            view.mark_unchanged();
            let there = sqlx::query_scalar!(
                r#"select count(*) as "count!" from ledger.leases
                   join unnest($2::uuid[], $3::bigint[]) as promised(gateway, total) using (gateway)
                   where account_id = $1 and returned >= total"#,
                account_id.0,
                &gateways,
                &totals
            )
            .fetch_one(&self.pool)
            .await?;
            if there as usize >= promised.len() {
                return Ok(true);
            }
            match timeout_at(deadline, view.changed()).await {
                Ok(changed) => changed?,
                Err(_) => return Ok(false),
            }
        }
    }

    /// Who holds credits of an account unused, the largest first, but for one that is not asked.
    async fn holders(&self, account_id: AccountId, but: Option<EmitterId>) -> Result<Vec<Holder>> {
        let rows = sqlx::query!(
            r#"select gateway, granted - returned - charged - held as "free!", returned from ledger.leases
               where account_id = $1 and gateway is distinct from $2 and not closed and granted > returned + charged + held
               order by 2 desc"#,
            account_id.0,
            but.map(|gateway| gateway.0)
        )
        .fetch_all(&self.pool)
        .await?;
        let holder = |gateway, free, returned| Holder {
            gateway: EmitterId(gateway),
            free: Nanocredits::new(free),
            returned: Nanocredits::new(returned),
        };
        Ok(rows.into_iter().map(|row| holder(row.gateway, row.free, row.returned)).collect())
    }

    async fn turn(&self, account_id: AccountId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock();
            // Nobody else has a turn of which only this map knows.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(account_id).or_default().clone()
        };
        turn.lock_owned().await
    }
}

/// How much a reply lacks of what was needed; none if nothing.
fn lacking(ask: &LeaseRequest, outcome: &[u8]) -> Option<Nanocredits> {
    let reply: LeaseReply = serde_json::from_slice(outcome).ok()?;
    let wanted = ask.granted_total.plus(ask.need).ok()?;
    let lacking = wanted.minus_or_zero(reply.granted_total).minus_or_zero(reply.unleased);
    (wanted > reply.granted_total && lacking > Nanocredits::ZERO).then_some(lacking)
}
