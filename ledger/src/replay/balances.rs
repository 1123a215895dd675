use std::io::Write;

use anyhow::Result;
use chrono::{DateTime, Utc};
use schemas::books::Books;
use schemas::ids::AccountId;
use schemas::money::Nanocredits;
use schemas::tier::Tier;
use serde::Serialize;

use crate::csv;
use crate::format::Format;
use crate::place::Reached;

/// What accounts had at a position.
#[derive(Debug, Serialize)]
pub struct Balances {
    /// The last event that was folded.
    pub position: u64,
    /// When that was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
    /// By id.
    pub accounts: Vec<BalanceLine>,
}

/// What one account had. Amounts are credits.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BalanceLine {
    /// Whose.
    pub account_id: AccountId,
    /// Real money.
    pub livemode: bool,
    /// Plan.
    pub tier: Tier,
    /// Added and adjusted in all.
    pub bought: Nanocredits,
    /// Charged in all.
    pub charged: Nanocredits,
    /// Posted: bought less charged.
    pub balance: Nanocredits,
    /// In open holds.
    pub held: Nanocredits,
    /// Could still be spent.
    pub available: Nanocredits,
}

impl Balances {
    /// Of all accounts in the books, or of one.
    pub fn of(books: &Books, account: Option<AccountId>, reached: Reached) -> Result<Self> {
        let wanted = books.accounts.values().filter(|known| account.is_none_or(|id| known.account_id == id));
        let mut accounts = wanted
            .map(|account| {
                Ok(BalanceLine {
                    account_id: account.account_id,
                    livemode: account.livemode,
                    tier: account.tier,
                    bought: account.bought,
                    charged: account.charged,
                    balance: account.balance()?,
                    held: account.held,
                    available: account.available()?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        accounts.sort_unstable_by_key(|account| account.account_id);
        Ok(Self { position: reached.position, recorded_at: reached.recorded_at, accounts })
    }

    /// Writes them.
    pub fn write(&self, format: Format, out: &mut impl Write) -> Result<()> {
        match format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(self)?)?,
            Format::Csv => {
                csv::row(out, ["account_id", "livemode", "tier", "bought", "charged", "balance", "held", "available"])?;
                self.accounts.iter().try_for_each(|account| csv::row(out, account.cells()))?;
            }
            Format::Text => {
                let [account, mode, tier, amounts @ ..] =
                    ["account", "mode", "tier", "bought", "charged", "balance", "held", "available"];
                text(out, account, mode, tier, amounts)?;
                for account in &self.accounts {
                    let [id, _, tier, amounts @ ..] = account.cells();
                    let mode = if account.livemode { "live" } else { "sandbox" };
                    text(out, &id, mode, &tier, amounts.each_ref().map(String::as_str))?;
                }
                let time =
                    self.recorded_at.map_or_else(String::new, |time| format!(", recorded at {}", time.to_rfc3339()));
                writeln!(out, "\n{} accounts as of position {}{time}", self.accounts.len(), self.position)?;
            }
        }
        Ok(())
    }
}

impl BalanceLine {
    fn cells(&self) -> [String; 8] {
        [
            self.account_id.to_string(),
            self.livemode.to_string(),
            self.tier.name().to_owned(),
            self.bought.to_string(),
            self.charged.to_string(),
            self.balance.to_string(),
            self.held.to_string(),
            self.available.to_string(),
        ]
    }
}

fn text(out: &mut impl Write, account: &str, mode: &str, tier: &str, amounts: [&str; 5]) -> std::io::Result<()> {
    write!(out, "{account:36}  {mode:7}  {tier:7}")?;
    amounts.iter().try_for_each(|amount| write!(out, "  {amount:>20}"))?;
    writeln!(out)
}
