//! What was answered is what the provider billed and what is charged, and the books add up.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stack::local::Stack;
use tokio::time::{Instant, sleep};

/// Read models and idle leases are level within seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until everything is settled, and compares.
pub(crate) async fn audit(stack: &Stack, answers: u64) -> Result<()> {
    let charged = "select count(*) from usage_logs where credits_used > 0 and status = 'success'";
    let deadline = Instant::now() + PATIENCE;
    while number(stack, charged)? < answers || open(stack)? > 0 {
        ensure!(Instant::now() < deadline, "{} of {answers} answers are charged", number(stack, charged)?);
        sleep(Duration::from_millis(50)).await;
    }
    let (charges, billed) = (number(stack, charged)?, stack.simulator().bill()?["completed"].as_u64());
    ensure!(charges == answers, "{answers} were answered, {charges} are charged");
    ensure!(billed == Some(answers), "{answers} were answered, the provider bills {billed:?}");
    let report = stack.ledger_json(&["verify"])?;
    ensure!(report["ok"] == true, "verify says {report:#}");
    println!("audit: {answers} answers, {charges} charges, {} events; verify: ok", report["events"]);
    Ok(())
}

fn open(stack: &Stack) -> Result<u64> {
    number(stack, "select coalesce(sum(leased + held), 0)::bigint from ledger.accounts")
}

fn number(stack: &Stack, sql: &str) -> Result<u64> {
    stack.postgres().sql(sql)?.trim().parse().with_context(|| sql.to_owned())
}
