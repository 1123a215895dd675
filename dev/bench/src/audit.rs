//! What was answered is what the provider billed and what is charged, and the books add up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::system::System;

/// Read models and idle leases are level within seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until everything is settled, compares, and says so in a sentence.
pub(crate) async fn audit(system: &System) -> Result<String> {
    let answers = system.answers.load(Ordering::Relaxed);
    let number = |sql: &str| -> Result<u64> { system.sql(sql)?.parse().with_context(|| sql.to_owned()) };
    let charged = "select count(*) from usage_logs where credits_used > 0 and status = 'success'";
    let open = "select coalesce(sum(leased + held), 0)::bigint from ledger.accounts";
    let deadline = Instant::now() + PATIENCE;
    while number(charged)? < answers || number(open)? > 0 {
        ensure!(Instant::now() < deadline, "{} of {answers} answers are charged", number(charged)?);
        sleep(Duration::from_millis(500)).await;
    }
    let (charges, provided) = (number(charged)?, system.provided().await?);
    ensure!(charges == answers, "{answers} were answered, {charges} are charged");
    ensure!(provided == answers, "{answers} were answered, the provider gave {provided}");
    let report = system.stack.ledger_json(&["verify"])?;
    ensure!(report["ok"] == true, "verify says {report:#}");
    Ok(format!(
        "{answers} answers, {provided} at the provider, {charges} charges, {} events; verify: ok",
        report["events"]
    ))
}
