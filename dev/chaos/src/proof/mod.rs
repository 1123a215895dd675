//! The proof at the end, against the provider's own bill and what the clients heard:
//!
//! | what | against |
//! |---|---|
//! | the books add up, and so does every table | `ledger verify` |
//! | no hold is open, nothing is leased, nothing waits | the ledger's tables, the gateways' metrics |
//! | every complete answer is charged once, exactly | what its client was told; tokens and cost in the provider's bill |
//! | nothing else is charged beyond what was delivered | the provider's bill |
//! | no provider was called for money that was not set aside | the authorization counts |
//! | every authorization has one ending that counts (P3) | `ledger.events` |
//! | no authorization of a fenced life holds anything | `ledger.events`, `ledger.holds` |
//! | what the platform bears is what was used beyond holds, and late usage that could not be paid | `ledger losses` |

mod books;
mod evidence;
mod request;

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Result, bail, ensure};

pub use evidence::{Evidence, Line, Logged};
pub use request::{Case, judge};

use crate::client::{Ended, Heard};
use crate::world::{World, blocking};

/// Holds that have not ended.
pub const OPEN_HOLDS: &str = "select count(*) from ledger.holds
    where hold is not null and charged is null and (ending is null or ending = 'deducted')";

impl World {
    /// Waits until nothing moves any more and proves that everything adds up, and that nothing was estimated, late or lost:
    /// no client left and no provider broke off. `heard` is what all clients heard.
    pub async fn prove(&self, heard: &[Heard]) -> Result<()> {
        let evidence = self.evidence().await?;
        let heard: Vec<&Heard> = heard.iter().collect();
        let mut wrong = evidence.wrong(&heard, |_| false);
        wrong.extend(evidence.lines.iter().filter_map(|(id, line)| plain(id, line).err()));
        evidence.tell(&heard);
        if let Some(first) = wrong.first() {
            let all: Vec<_> = wrong.iter().map(|wrong| format!("{wrong:#}")).take(20).collect();
            let logs = self.stack.dir().display();
            bail!("{} requests are wrong: {first:#}\n{}; logs are in {logs}", wrong.len(), all.join("\n"));
        }
        Ok(())
    }

    /// Waits until nothing moves any more, proves what can be proved of the books as a whole, and collects what is known of
    /// each request.
    pub async fn evidence(&self) -> Result<Evidence> {
        self.says("waiting for quiet");
        self.quiet().await?;
        let report = blocking(|| self.stack.ledger_json(&["verify"]))?;
        let show = |what: &str| format!("{what}; logs are in {}", self.stack.dir().display());
        ensure!(report["ok"] == true, show(&format!("verify says {report:#}")));
        ensure!(report["quarantined"] == 0, show(&format!("quarantined: {}", self.quarantine().await?)));
        let bill = blocking(|| self.stack.simulator().bill_by_request())?;
        let mut evidence = Evidence { lines: self.lines().await?, bill, report, left: HashMap::new() };
        self.endings().await?;
        self.fences().await?;
        evidence.left = self.money(&evidence.lines).await?;
        Ok(evidence)
    }

    /// Waits until no request runs, no hold is open, nothing is leased, and everything said has been read by everybody.
    async fn quiet(&self) -> Result<()> {
        self.until_in_flight(|calls| calls == 0).await?;
        for gateway in (0..self.stack.gateways()).filter(|gateway| self.stack.gateway(*gateway).pid().is_some()) {
            self.until("the gateways owe nothing", async || {
                let owed =
                    self.metric(gateway, "layers_holds_open")? + self.metric(gateway, "layers_backlog_events")?;
                Ok((owed == 0).then_some(()))
            })
            .await?;
        }
        self.until_number(OPEN_HOLDS, |open| open == 0).await?;
        self.until_number("select coalesce(sum(leased), 0)::bigint from ledger.accounts", |leased| leased == 0).await?;
        let behind = "select head.position - projection.position from ledger.head, public.projection";
        self.until_number(behind, |behind| behind == 0).await?;
        Ok(())
    }
}

impl Evidence {
    /// What is wrong with single requests. `excused`: its provider may have been called though its authorization counts for
    /// nothing, since the stream lost that with its disk while its gateway was being fenced (P2 promises nothing then).
    pub fn wrong(&self, heard: &[&Heard], excused: impl Fn(&str) -> bool) -> Vec<anyhow::Error> {
        let mut by_id: HashMap<&str, &Heard> = HashMap::new();
        let mut wrong = Vec::new();
        for heard in heard {
            if matches!(heard.ended, Ended::Hung) {
                wrong.push(anyhow::anyhow!("{:?}: an answer had no end", heard.request_id));
            }
            match &heard.request_id {
                Some(id) if by_id.insert(id, heard).is_some() => {
                    wrong.push(anyhow::anyhow!("{id}: a request id was given twice"));
                }
                None if heard.complete().is_some() => {
                    wrong.push(anyhow::anyhow!("a complete answer without x-request-id"));
                }
                _ => {}
            }
        }
        let ids: HashSet<&str> =
            by_id.keys().copied().chain(self.lines.keys().chain(self.bill.keys()).map(String::as_str)).collect();
        wrong.extend(ids.into_iter().filter_map(|id| {
            let (heard, line, billed) = (by_id.get(id).copied(), self.lines.get(id), self.bill.get(id));
            judge(id, &Case { heard, line, billed, excused: excused(id) }).err()
        }));
        wrong
    }

    /// What happened, for people.
    fn tell(&self, heard: &[&Heard]) {
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for heard in heard {
            *ends.entry(heard.ended.name()).or_default() += 1;
        }
        let mut endings: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.lines.values() {
            *endings.entry(line.ending.as_deref().unwrap_or("none")).or_default() += 1;
        }
        eprintln!(
            "clients heard {ends:?}; the books have {endings:?}, {} events, notes {}",
            self.report["events"], self.report["notes"]
        );
    }
}

/// Nothing of it was estimated, late or lost.
fn plain(id: &str, line: &Line) -> Result<()> {
    ensure!(line.adjusted == 0 && line.lost() == 0, "{id}: usage came late or was beyond the hold: {line:?}");
    let source = line.logged.as_ref().and_then(|logged| logged.source.as_deref());
    ensure!(source != Some("estimated"), "{id}: the usage is an estimate: {line:?}");
    Ok(())
}
