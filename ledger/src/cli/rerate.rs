use std::io::{BufWriter, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use chrono::Utc;
use clap::Args;
use schemas::price_book::{DEFAULT_MARGIN_BPS, PriceBook};
use sqlx::PgConnection;

use super::correct::{Correcting, Part};
use crate::price_books::price_books;
use crate::range::{Mark, Range};
use crate::rerate::{Compensation, Format, Listing, Plan, Run, rerate};

#[derive(Args)]
pub(super) struct RerateArgs {
    #[command(flatten)]
    prices: Prices,
    #[command(flatten)]
    part: Part,
    /// The run's id: the same one compensates nothing twice. By default it follows from prices, range and account.
    #[arg(long, value_parser = Run::checked_id)]
    run: Option<String>,
    /// Compensates also what a former run over a part of the same range has compensated.
    #[arg(long)]
    again: bool,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// One JSON object: --format json.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    correcting: Correcting,
}

#[derive(Args)]
#[group(required = true)]
struct Prices {
    /// A catalogue in the form of schemas/models.json.
    #[arg(long, group = "source")]
    prices: Option<PathBuf>,
    /// A version of the prices that was published.
    #[arg(long, visible_alias = "version", group = "source", conflicts_with = "margin_bps")]
    price_version: Option<u32>,
    /// Our share on top where the catalogue has none of its own, in hundredths of a percent.
    #[arg(long, default_value_t = DEFAULT_MARGIN_BPS)]
    margin_bps: u32,
}

pub(super) async fn run(args: RerateArgs) -> Result<i32> {
    let pool = args.correcting.pool()?;
    let mut db = pool.acquire().await.context("cannot reach PostgreSQL")?;
    let prices = args.prices.read(&mut db).await?;
    if args.correcting.apply {
        is_over(&mut db, args.part.from, args.part.until).await?;
    }
    let range = Range::resolve(&mut db, args.part.from, args.part.until).await?;
    drop(db);
    let run = Run::new(args.run, &prices, range, args.part.account);
    let plan = Plan { prices, range, account: args.part.account, run };
    let compensation = args.correcting.asker().await?.map(|(asker, reason)| Compensation {
        asker,
        by: args.correcting.by.clone(),
        reason,
        again: args.again,
    });
    let format = if args.json { Format::Json } else { args.format };
    let mut listing = Listing::new(format, BufWriter::new(stdout().lock()));
    rerate(&pool, &plan, compensation.as_ref(), &mut listing).await?;
    Ok(0)
}

impl Prices {
    async fn read(&self, db: &mut PgConnection) -> Result<PriceBook> {
        match (&self.prices, self.price_version) {
            (Some(file), _) => catalogue(file, self.margin_bps),
            (None, Some(version)) => {
                let book = price_books(db).await?.remove(&version);
                book.with_context(|| format!("prices {version} were never published"))
            }
            (None, None) => bail!("--prices or --price-version says by which prices"),
        }
    }
}

fn catalogue(file: &Path, margin_bps: u32) -> Result<PriceBook> {
    let json = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    // Whatever version it would get: it is not published.
    PriceBook::from_catalogue(&json, 0, margin_bps).with_context(|| file.display().to_string())
}

/// What is compensated must be what the same command would find tomorrow.
async fn is_over(db: &mut PgConnection, from: Option<Mark>, until: Option<Mark>) -> Result<()> {
    let until = until.filter(|_| from.is_some()).context("--apply needs --from and --until")?;
    match until {
        Mark::Time(time) => ensure!(time < Utc::now(), "--until {time} is not over: nothing was compensated"),
        Mark::Position(position) => {
            let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(db).await?;
            ensure!(position <= head as u64, "the log ends at {head}: nothing was compensated");
        }
    }
    Ok(())
}
