use std::io::{BufWriter, stdout};

use anyhow::{Context, Result, ensure};
use clap::Args;
use schemas::money::Picodollars;

use super::correct::{Correcting, Part};
use crate::range::Range;
use crate::reconcile::{Listing, Plan, Provider, Tolerance, TruingUp, days, reconcile};

#[derive(Args)]
pub(super) struct ReconcileArgs {
    /// The provider's record: a file, or an address. `…/stats` is a simulator's bill, `…/report` Vercel's report,
    /// `…/generation` (or `…/v1`) Vercel's word on each call, one question a call.
    #[arg(long, value_name = "FILE|URL")]
    provider: String,
    #[command(flatten)]
    part: Part,
    /// The connection whose calls the record is of, as usages name it: by default 'ai-gateway' for Vercel's records, and
    /// all of them for a simulator's bill.
    #[arg(long)]
    upstream: Option<String>,
    /// Costs that differ by no more are the same, US$.
    #[arg(long, default_value = "0")]
    tolerance: Picodollars,
    /// Counts of tokens that differ by no more are the same.
    #[arg(long, default_value_t = 0)]
    tolerance_tokens: u64,
    /// Our key at the provider; sent over https only, or to this machine.
    #[arg(long, env = "AI_GATEWAY_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Questions that the provider is asked at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    correcting: Correcting,
}

pub(super) async fn run(args: ReconcileArgs) -> Result<i32> {
    ensure!(!args.tolerance.is_negative(), "a tolerance is at least zero");
    let pool = args.correcting.pool()?;
    let mut db = pool.acquire().await.context("cannot reach PostgreSQL")?;
    let range = Range::resolve(&mut db, args.part.from, args.part.until).await?;
    let days = days(&mut db, range).await?;
    drop(db);
    let api_key = args.api_key.as_deref().filter(|key| !key.is_empty());
    let provider = Provider::open(&args.provider, api_key, days).await?;
    ensure!(
        !(args.correcting.apply && matches!(provider, Provider::Report(_))),
        "a report has only sums: nothing can be trued up by it"
    );
    let plan = Plan {
        range,
        account: args.part.account,
        upstream: args.upstream.or_else(|| provider.upstream().map(str::to_owned)),
        tolerance: Tolerance { cost_usd: args.tolerance, tokens: args.tolerance_tokens },
        concurrency: args.concurrency,
    };
    let by = args.correcting.by.clone();
    let truing_up = args.correcting.asker().await?.map(|(asker, reason)| TruingUp { asker, by, reason });
    let mut listing = Listing::new(args.json, BufWriter::new(stdout().lock()));
    let totals = reconcile(&pool, &provider, &plan, truing_up.as_ref(), &mut listing).await?;
    Ok(i32::from(totals.differs()))
}
