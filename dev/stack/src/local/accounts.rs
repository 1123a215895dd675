//! Many accounts at once: the same commands that the `ledger` program sends, over one connection instead of a process each.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::account::text;
use super::{Account, CELL, Stack};
use crate::secret;

/// So many accounts are being opened at a time: the ledger puts what comes at once into one commit.
const AT_ONCE: usize = 64;
/// How keys of real money begin, and those of the sandbox.
const LIVE: &str = "lyr_live_";
const SANDBOX: &str = "lyr_test_";

impl Stack {
    /// Opens an account on this tier for each of these amounts (credits), and issues its keys. In their order.
    ///
    /// # Errors
    /// When the ledger refuses or does not answer.
    ///
    /// # Panics
    /// Never.
    pub fn open_accounts(&self, tier: &str, credits: &[i64]) -> Result<Vec<Account>> {
        apart(open(&self.nats_url(), tier, credits))
    }

    /// Gives an account one more key, the secret of which is this one: for clients whose configuration is written before.
    ///
    /// # Errors
    /// When the ledger refuses or does not answer.
    ///
    /// # Panics
    /// Never.
    pub fn issue_known_key(&self, account: &Account, secret: &str) -> Result<()> {
        apart(async { Ledger::connect(&self.nats_url()).await?.issue(&account.account_id, secret, LIVE.len()).await })
    }
}

/// In a thread of its own: the caller may be within an async runtime.
fn apart<T: Send>(asking: impl Future<Output = Result<T>> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(asking)
        });
        opening.join().expect("it returns its errors")
    })
}

async fn open(nats_url: &str, tier: &str, credits: &[i64]) -> Result<Vec<Account>> {
    let ledger = Ledger::connect(nats_url).await?;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut opening = JoinSet::new();
    for (number, credits) in credits.iter().copied().enumerate() {
        let (ledger, tier, places) = (ledger.clone(), tier.to_owned(), places.clone());
        opening.spawn(async move {
            let _place = places.acquire_owned().await?;
            anyhow::Ok((number, ledger.open_account(&tier, credits).await?))
        });
    }
    let mut opened = Vec::with_capacity(credits.len());
    while let Some(one) = opening.join_next().await {
        opened.push(one??);
    }
    opened.sort_by_key(|(number, _)| *number);
    Ok(opened.into_iter().map(|(_, account)| account).collect())
}

#[derive(Clone)]
struct Ledger(async_nats::Client);

impl Ledger {
    async fn connect(nats_url: &str) -> Result<Self> {
        let servers: Vec<&str> = nats_url.split(',').collect();
        let client = async_nats::connect(servers.as_slice()).await;
        Ok(Self(client.with_context(|| format!("cannot reach {nats_url}"))?))
    }

    async fn open_account(&self, tier: &str, credits: i64) -> Result<Account> {
        let opened = self.ask("open-account", json!({ "tier": tier, "reference": null })).await?;
        let account_id = text(&opened, "account_id")?;
        let sandbox_account_id = text(&opened, "sandbox_account_id")?;
        if credits > 0 {
            let reference = format!("opening-{account_id}");
            let add = json!({ "account_id": account_id, "amount": credits.to_string(), "reference": reference });
            self.ask("add-credits", add).await?;
        }
        let key = self.issue_key(&account_id, LIVE).await?;
        let sandbox_key = self.issue_key(&sandbox_account_id, SANDBOX).await?;
        Ok(Account { account_id, sandbox_account_id, key, sandbox_key })
    }

    /// The secret is made here: the ledger only ever sees its hash.
    async fn issue_key(&self, account_id: &str, kind: &str) -> Result<String> {
        let random = Sha256::digest(secret::random()?);
        let key = format!("{kind}{}", URL_SAFE_NO_PAD.encode(random));
        self.issue(account_id, &key, kind.len()).await?;
        Ok(key)
    }

    async fn issue(&self, account_id: &str, key: &str, kind: usize) -> Result<()> {
        let hash: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        let prefix = key.get(..kind + 4).context("a key is longer")?;
        let ask = json!({ "account_id": account_id, "key_hash": hash, "key_prefix": prefix, "name": "many",
            "expires_at": null });
        self.ask("issue-key", ask).await?;
        Ok(())
    }

    async fn ask(&self, command: &str, mut ask: Value) -> Result<Value> {
        ask["by"] = "stack".into();
        ask["why"] = "an account for a test".into();
        let subject = format!("layers.{CELL}.command.{command}");
        let answered = self.0.request(subject, ask.to_string().into()).await.with_context(|| command.to_owned())?;
        let mut answer: Value = serde_json::from_slice(&answered.payload)?;
        match answer["Ok"].take() {
            Value::Null => bail!("the ledger refuses `{command}`: {answer}"),
            ok => Ok(ok),
        }
    }
}
