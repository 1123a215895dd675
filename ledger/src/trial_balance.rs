//! The trial balance: what was debited and credited on each ledger account, live and sandbox apart. Debits equal credits in
//! each currency, always; and what is owed to customers is what their accounts say.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use chrono::{DateTime, Utc};
use schemas::books::{Books, Currency, LedgerAccount, Posting};
use schemas::money::decimal;
use serde::Serialize;

use crate::csv;
use crate::format::Format;
use crate::place::Reached;

/// Turnover of the ledger accounts, in the smallest units of their currencies.
#[derive(Debug, Default)]
pub struct TrialBalance {
    turnover: BTreeMap<(Book, LedgerAccount), (i128, i128)>,
}

/// Live or test money: they never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Book {
    Live,
    Sandbox,
}

/// The trial balance as it is shown.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The last event that was folded.
    pub position: u64,
    /// When that was recorded.
    pub recorded_at: Option<DateTime<Utc>>,
    /// Nothing differs.
    pub balanced: bool,
    /// What does not add up.
    pub differences: Vec<String>,
    /// By book and ledger account.
    pub accounts: Vec<Line>,
    /// By book and currency.
    pub totals: Vec<Total>,
}

/// One ledger account. Amounts are decimals of its currency.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Line {
    pub book: Book,
    pub ledger_account: &'static str,
    pub currency: &'static str,
    pub debit: String,
    pub credit: String,
    /// Debit less credit.
    pub balance: String,
}

/// All ledger accounts of a book in one currency.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Total {
    pub book: Book,
    pub currency: &'static str,
    pub debit: String,
    pub credit: String,
}

impl TrialBalance {
    /// Takes a posting.
    pub fn post(&mut self, livemode: bool, lines: &[Posting]) {
        let book = if livemode { Book::Live } else { Book::Sandbox };
        for line in lines {
            let (debit, credit) = self.turnover.entry((book, line.account)).or_default();
            let amount = i128::from(line.amount);
            *(if amount > 0 { debit } else { credit }) += amount.abs();
        }
    }

    /// Closes it against the accounts that the same events add up to.
    pub fn close(&self, books: &Books, reached: Reached) -> Shown {
        let (mut accounts, mut totals, mut differences) = (Vec::new(), Vec::new(), Vec::new());
        for book in [Book::Live, Book::Sandbox] {
            for currency in [Currency::Credits, Currency::Usd] {
                let places = currency.places();
                let (mut debits, mut credits) = (0, 0);
                for account in LedgerAccount::ALL.into_iter().filter(|account| account.currency() == currency) {
                    let (debit, credit) = self.of(book, account);
                    (debits, credits) = (debits + debit, credits + credit);
                    accounts.push(Line {
                        book,
                        ledger_account: account.name(),
                        currency: currency.name(),
                        debit: decimal(debit, places),
                        credit: decimal(credit, places),
                        balance: decimal(debit - credit, places),
                    });
                }
                let total = Total {
                    book,
                    currency: currency.name(),
                    debit: decimal(debits, places),
                    credit: decimal(credits, places),
                };
                if debits != credits {
                    differences
                        .push(format!("{book:?} {}: debits {}, credits {}", total.currency, total.debit, total.credit));
                }
                totals.push(total);
            }
            differences.extend(self.against_accounts(book, books));
        }
        let Reached { position, recorded_at } = reached;
        Shown { position, recorded_at, balanced: differences.is_empty(), differences, accounts, totals }
    }

    fn of(&self, book: Book, account: LedgerAccount) -> (i128, i128) {
        self.turnover.get(&(book, account)).copied().unwrap_or_default()
    }

    /// What the ledger accounts say of customers, and what the customers' accounts say.
    fn against_accounts(&self, book: Book, books: &Books) -> Vec<String> {
        use LedgerAccount::*;
        let owing = |account| {
            let (debit, credit) = self.of(book, account);
            credit - debit
        };
        let of_book = || books.accounts.values().filter(|account| account.livemode == (book == Book::Live));
        let sum = |amount: fn(&schemas::books::Account) -> i128| of_book().map(amount).sum::<i128>();
        let pairs = [
            (
                "customer_available",
                owing(CustomerAvailable),
                sum(|account| i128::from(account.unleased.get()) + i128::from(account.leased.get())),
            ),
            ("customer_held", owing(CustomerHeld), sum(|account| account.held.get().into())),
            ("revenue", owing(Revenue), sum(|account| account.charged.get().into())),
            ("cash and adjustments", -owing(Cash) - owing(Adjustments), sum(|account| account.bought.get().into())),
            ("platform_loss", -owing(PlatformLoss), sum(|account| account.lost.get().into())),
        ];
        let differing = pairs.into_iter().filter(|(_, posted, of_accounts)| posted != of_accounts);
        let say = |(name, posted, of_accounts)| {
            let [posted, of_accounts] = [posted, of_accounts].map(|amount| decimal(amount, 9));
            format!("{book:?} {name}: the postings say {posted}, the accounts {of_accounts}")
        };
        differing.map(say).collect()
    }
}

impl Shown {
    /// Writes it.
    pub fn write(&self, format: Format, out: &mut impl Write) -> Result<()> {
        match format {
            Format::Json => writeln!(out, "{}", serde_json::to_string(self)?)?,
            Format::Csv => {
                csv::row(out, ["book", "ledger_account", "currency", "debit", "credit", "balance"])?;
                for line in &self.accounts {
                    let book = line.book.name();
                    csv::row(
                        out,
                        [book, line.ledger_account, line.currency, &line.debit, &line.credit, &line.balance],
                    )?;
                }
            }
            Format::Text => self.write_text(out)?,
        }
        Ok(())
    }

    fn write_text(&self, out: &mut impl Write) -> std::io::Result<()> {
        let time = self.recorded_at.map_or_else(String::new, |time| format!(", recorded at {}", time.to_rfc3339()));
        writeln!(out, "trial balance as of position {}{time}", self.position)?;
        for book in [Book::Live, Book::Sandbox] {
            writeln!(out, "\n{:20}  {:8}  {:>24}  {:>24}  {:>24}", book.name(), "", "debit", "credit", "balance")?;
            for line in self.accounts.iter().filter(|line| line.book == book) {
                writeln!(
                    out,
                    "{:20}  {:8}  {:>24}  {:>24}  {:>24}",
                    line.ledger_account, line.currency, line.debit, line.credit, line.balance
                )?;
            }
            for total in self.totals.iter().filter(|total| total.book == book) {
                writeln!(out, "{:20}  {:8}  {:>24}  {:>24}", "total", total.currency, total.debit, total.credit)?;
            }
        }
        writeln!(out)?;
        for difference in &self.differences {
            writeln!(out, "DIFFERS  {difference}")?;
        }
        match self.balanced {
            true => writeln!(
                out,
                "balanced: debits equal credits, and what is owed to customers is what their accounts say"
            ),
            false => writeln!(out, "NOT balanced: {} differences", self.differences.len()),
        }
    }
}

impl Book {
    fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Sandbox => "sandbox",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(cash: i64, available: i64) -> [Posting; 2] {
        let line = |account, amount| Posting { account, amount };
        [line(LedgerAccount::Cash, cash), line(LedgerAccount::CustomerAvailable, available)]
    }

    #[test]
    fn what_does_not_sum_to_zero_is_not_balanced() {
        let mut trial = TrialBalance::default();
        trial.post(false, &lines(10, -9));
        let shown = trial.close(&Books::default(), Reached::default());
        assert!(
            !shown.balanced && shown.differences.iter().any(|what| what.starts_with("Sandbox credits")),
            "{shown:?}"
        );
    }

    #[test]
    fn postings_of_no_account_are_not_balanced() {
        let mut trial = TrialBalance::default();
        assert!(trial.close(&Books::default(), Reached::default()).balanced);
        trial.post(true, &lines(10, -10));
        let shown = trial.close(&Books::default(), Reached::default());
        assert_eq!(shown.totals[0].debit, shown.totals[0].credit);
        assert!(!shown.balanced && shown.differences.len() == 2, "{shown:?}");
    }
}
