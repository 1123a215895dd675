//! An account that can pay, opened as an operator does it.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Stack;

/// An account with its sandbox, and a key for each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Who pays.
    pub account_id: String,
    /// Who pays with test credits.
    pub sandbox_account_id: String,
    /// `lyr_live_…`
    pub key: String,
    /// `lyr_test_…`
    pub sandbox_key: String,
}

impl Stack {
    /// Opens an account on this tier with so many credits (a decimal), and issues its keys.
    ///
    /// # Errors
    /// When the ledger refuses or does not answer.
    pub fn open_account(&self, tier: &str, credits: &str) -> Result<Account> {
        let opened = self.ledger_json(&["account", "open", "--tier", tier])?;
        let account_id = text(&opened, "account_id")?;
        if credits != "0" {
            let reference = format!("opening-{account_id}");
            let add = ["credits", "add", "--account", &account_id, "--credits", credits, "--reference", &reference];
            self.ledger_json(&add)?;
        }
        let key = self.ledger_json(&["key", "issue", "--account", &account_id, "--name", "live"])?;
        let sandbox_key =
            self.ledger_json(&["key", "issue", "--account", &account_id, "--sandbox", "--name", "test"])?;
        Ok(Account {
            sandbox_account_id: text(&opened, "sandbox_account_id")?,
            key: text(&key, "key")?,
            sandbox_key: text(&sandbox_key, "key")?,
            account_id,
        })
    }
}

pub(super) fn text(object: &Value, name: &str) -> Result<String> {
    object[name].as_str().map(str::to_owned).with_context(|| format!("the ledger answered {object}, without {name}"))
}
