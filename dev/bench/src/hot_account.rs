//! A hot account costs nothing: one account against a thousand, the same load, one gateway.
//!
//! Rounds alternate, and the order within each pair does, so that whatever else the machine does meets both alike. The figure
//! is the median of the pairs' ratios.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use stack::local::{Stack, StackOptions};

use crate::audit::audit;
use crate::closed_loop::Load;

/// Each account has as many as nobody spends here.
const CREDITS: i64 = 100_000;
/// Before the first round: connections, keys, first leases.
const WARM_UP: Duration = Duration::from_secs(2);
/// Reached, a hot account costs nothing.
const GOAL: f64 = 0.95;

/// How it is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Pairs of rounds.
    #[arg(long, default_value_t = 9)]
    rounds: u32,
    /// Seconds a round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Requests under way at any time.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Accounts of the other side.
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
}

/// Measures, prints, audits.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let (stack, keys) = tokio::task::block_in_place(|| -> Result<_> {
        let stack = Stack::start_with(StackOptions { fsync: true, ..StackOptions::default() })?;
        let accounts = stack.open_accounts("bench", &vec![CREDITS; options.accounts + 1])?;
        let keys: Vec<String> = accounts.into_iter().map(|account| account.key).collect();
        Ok((stack, keys))
    })?;
    let address = stack.gateway_url(0).strip_prefix("http://").context("a gateway's address")?.to_owned();
    let (hot, many) = keys.split_first().context("there are accounts")?;
    let load = |keys: Vec<String>| Load {
        address: address.clone(),
        keys: Arc::new(keys),
        body: body(),
        connections: options.connections,
    };
    let (hot, many) = (load(vec![hot.clone()]), load(many.to_vec()));
    let mut answers = hot.run(WARM_UP).await?.answers + many.run(WARM_UP).await?.answers;

    println!("{} connections, {} s a round, answers a second\n", options.connections, options.seconds);
    println!("{:>5} {:>12} {:>12} {:>8}", "round", "one account", format!("{} accounts", options.accounts), "ratio");
    let length = Duration::from_secs(options.seconds);
    let mut ratios = Vec::new();
    for round in 1..=options.rounds {
        let (one, other) = if round % 2 == 1 {
            let one = hot.run(length).await?;
            (one, many.run(length).await?)
        } else {
            let other = many.run(length).await?;
            (hot.run(length).await?, other)
        };
        answers += one.answers + other.answers;
        let ratio = one.rate() / other.rate();
        println!("{round:>5} {:>12.0} {:>12.0} {ratio:>8.3}", one.rate(), other.rate());
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().context("no rounds")?;
    let verdict = if median >= GOAL { "reached" } else { "missed" };
    println!("\nmedian ratio {median:.3}; the goal of {GOAL} is {verdict}");
    audit(&stack, answers).await
}

/// A short answer at once: what is measured is the gateway.
fn body() -> bytes::Bytes {
    let wishes = "simulate: prompt_tokens=20 completion_tokens=10";
    let body = json!({ "model": "anthropic/claude-haiku-4.5", "max_tokens": 16,
        "messages": [{ "role": "user", "content": wishes }] });
    body.to_string().into()
}
