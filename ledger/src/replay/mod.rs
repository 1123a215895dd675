//! The events again, from the first one: an account's history or everybody's, with the running balance, and what everybody
//! had at any position.

mod balances;
mod line;

use std::io::Write;

use anyhow::Result;
pub use balances::{BalanceLine, Balances};
use schemas::books::{Books, Moved};
use schemas::ids::AccountId;
use sqlx::PgConnection;

use crate::folding::Folding;
use crate::format::Format;
use crate::log::{Filter, Logged, Pages};
use crate::progress::Progress;

/// Folds the log, or one account's part of it, up to a position, and shows each event with the books after it. Events of no
/// account, which may concern any, are shown too.
pub async fn replay(
    db: &mut PgConnection,
    account: Option<AccountId>,
    until: u64,
    progress: &mut Progress,
    mut each: impl FnMut(&Logged, &Moved, &Books) -> Result<()>,
) -> Result<Folding> {
    let mut folding = Folding::default();
    let mut pages = Pages::new(Filter { account, until_position: Some(until) });
    loop {
        let page = pages.next(db).await?;
        let Some(last) = page.last() else { break };
        let reached = last.position;
        for logged in &page {
            let moved = folding.apply(db, logged).await?;
            each(logged, &moved, folding.books())?;
        }
        progress.at(reached);
    }
    progress.end();
    Ok(folding)
}

/// Writes the history up to a position, a line an event. Returns what the events add up to.
pub async fn history(
    db: &mut PgConnection,
    account: Option<AccountId>,
    until: u64,
    format: Format,
    out: &mut impl Write,
    progress: &mut Progress,
) -> Result<Folding> {
    line::head(out, format, account.is_none())?;
    replay(db, account, until, progress, |logged, _, books| {
        // Fences and price books are in an account's fold, not in its history.
        if account.is_some() && logged.event.header.account_id != account {
            return Ok(());
        }
        let of = logged.event.header.account_id.and_then(|id| books.accounts.get(&id));
        line::event(out, format, account.is_none(), logged, of)
    })
    .await
}
