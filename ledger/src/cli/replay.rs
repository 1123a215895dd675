use std::io::Write;

use anyhow::{Context, Result, ensure};
use clap::Args;
use schemas::ids::AccountId;
use sqlx::ConnectOptions;

use crate::config::DatabaseConfig;
use crate::database;
use crate::format::{Format, FormatArgs};
use crate::place::reached;
use crate::progress::Progress;
use crate::range::Mark;
use crate::replay::{Balances, history, replay};

#[derive(Args)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Whose history; everybody's without it.
    #[arg(long)]
    account: Option<AccountId>,
    /// Up to a position, or a time (RFC 3339).
    #[arg(long)]
    until: Option<Mark>,
    /// What accounts have after the last event, instead of the events.
    #[arg(long)]
    balances: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: ReplayArgs) -> Result<i32> {
    let format = args.format.format();
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let reached = reached(&mut db, args.until).await?;
    let mut progress = Progress::new(reached.position, !args.balances);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let folding = match args.balances {
        true => replay(&mut db, args.account, reached.position, &mut progress, |_, _, _| Ok(())).await?,
        false => history(&mut db, args.account, reached.position, format, &mut out, &mut progress).await?,
    };
    let books = folding.books();
    if let Some(account) = args.account {
        ensure!(books.accounts.contains_key(&account), "there is no account {account} in these events");
    }
    let balances = Balances::of(books, args.account, reached)?;
    if args.balances {
        balances.write(format, &mut out)?;
    } else if let (Format::Text, Some(_), [account]) = (format, args.account, &balances.accounts[..]) {
        writeln!(
            out,
            "\nbought {}  charged {}  balance {}  held {}  available {}",
            account.bought, account.charged, account.balance, account.held, account.available
        )?;
    }
    out.flush()?;
    Ok(0)
}
