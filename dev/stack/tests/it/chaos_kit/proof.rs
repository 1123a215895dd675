//! The proof at the end of a failure test, against the provider's own bill and what the clients heard:
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

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sqlx::Row;

use super::client::scaled;
use super::{CREDITS, Ended, Heard, World, blocking};

/// The customer pays the provider's cost and 60 %: a dollar of cost is 160 credits.
const CREDITS_A_DOLLAR: i64 = 160;

/// What a request came to, in the books and in the read model.
#[derive(Debug)]
struct Line {
    counts: bool,
    ending: Option<String>,
    /// Nanocredits.
    charged: i64,
    /// Nanocredits, picodollars, tokens.
    logged: Option<Logged>,
}

#[derive(Debug)]
struct Logged {
    credits_used: i64,
    cost_usd: i64,
    tokens: (i64, i64),
    status: String,
    source: Option<String>,
}

impl World {
    /// Waits until nothing moves any more and proves that everything adds up. `heard` is what all clients heard.
    pub(crate) async fn prove(&self, heard: &[Heard]) -> Result<()> {
        self.says("waiting for quiet");
        self.quiet().await?;
        let report = blocking(|| self.stack.ledger_json(&["verify"]))?;
        let show = |what: &str| format!("{what}; logs are in {}", self.stack.dir().display());
        ensure!(report["ok"] == true, show(&format!("verify says {report:#}")));
        ensure!(report["quarantined"] == 0, show(&format!("quarantined: {}", self.quarantine().await?)));
        let bill = blocking(|| self.stack.simulator().bill_by_request())?;
        let lines = self.lines().await?;
        self.endings().await?;
        self.fences().await?;
        self.money().await?;
        let mut wrong = Vec::new();
        wrong.extend(heard.iter().filter_map(|heard| complete(heard, &lines, &bill).err()));
        wrong.extend(bill.iter().filter_map(|(id, line)| called(id, line, &lines).err()));
        wrong.extend(lines.iter().filter_map(|(id, line)| charged(id, line, &bill).err()));
        let ids: HashSet<_> = heard.iter().filter_map(|heard| heard.request_id.as_ref()).collect();
        let named = heard.iter().filter(|heard| heard.request_id.is_some()).count();
        ensure!(ids.len() == named, "a request id was given twice");
        self.tell(heard, &report, &lines);
        if let Some(first) = wrong.first() {
            let all: Vec<_> = wrong.iter().map(|wrong| format!("{wrong:#}")).take(20).collect();
            bail!(show(&format!("{} requests are wrong: {first:#}\n{}", wrong.len(), all.join("\n"))));
        }
        Ok(())
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

    async fn lines(&self) -> Result<HashMap<String, Line>> {
        let rows = sqlx::query(
            "select request_id::text as id, counts, holds.ending, coalesce(charged, 0) as charged,
                    (credits_used * 1e9)::bigint as credits_used, (cost_usd * 1e12)::bigint as cost_usd,
                    input_tokens, output_tokens, status, usage_source
             from ledger.holds left join usage_logs using (request_id)",
        )
        .fetch_all(&mut self.db().await?)
        .await?;
        let mut lines = HashMap::new();
        for row in rows {
            let logged = row.get::<Option<i64>, _>("credits_used").map(|credits_used| Logged {
                credits_used,
                cost_usd: row.get("cost_usd"),
                tokens: (row.get("input_tokens"), row.get("output_tokens")),
                status: row.get("status"),
                source: row.get("usage_source"),
            });
            let counts = row.get::<Option<bool>, _>("counts").unwrap_or(false);
            let line = Line { counts, ending: row.get("ending"), charged: row.get("charged"), logged };
            let id: String = row.get("id");
            ensure!(lines.insert(id.clone(), line).is_none(), "usage_logs has {id} twice");
        }
        Ok(lines)
    }

    /// P3. A deduction that waited for its usage in vain is overridden by the expiry; then it does not count.
    async fn endings(&self) -> Result<()> {
        let rows = sqlx::query(
            "select asked.request_id::text as id, coalesce(counting, 0) as counting from
               (select distinct request_id from ledger.events where event_type = 'RequestAuthorized') as asked
             left join
               (select request_id, count(*) as counting
                from ledger.events join ledger.holds using (request_id)
                where event_type in ('CreditsDeducted', 'AuthorizationReleased', 'AuthorizationExpired')
                  and not (event_type = 'CreditsDeducted' and ending = 'expired')
                  and not exists (select from ledger.notes
                                  where notes.position = events.position and note = 'second_ending')
                group by request_id) as ended using (request_id)
             where coalesce(counting, 0) <> 1",
        )
        .fetch_all(&mut self.db().await?)
        .await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let (id, counting): (String, i64) = (row.get("id"), row.get("counting"));
        bail!("{} authorizations have not one ending that counts; {id} has {counting}", rows.len());
    }

    async fn fences(&self) -> Result<()> {
        let held = self
            .number(
                "select count(*) from ledger.events as fence
                 join ledger.events as asked on asked.event_type = 'RequestAuthorized' and asked.position > fence.position
                   and asked.emitter = (convert_from(fence.event, 'UTF8')::json->'data'->>'gateway')::uuid
                 join ledger.holds on holds.authorized_at = asked.position and counts
                 where fence.event_type = 'GatewayFenced'",
            )
            .await?;
        ensure!(held == 0, "{held} authorizations of fenced lives hold something");
        Ok(())
    }

    async fn money(&self) -> Result<()> {
        let rows = sqlx::query(
            "select account_id::text as id, bought, unleased, charged, lost,
                    (select coalesce(sum(credits_used) * 1e9, 0)::bigint from usage_logs
                     where usage_logs.account_id = accounts.account_id) as logged,
                    (select (balance * 1e9)::bigint from credit_balances
                     where credit_balances.account_id = accounts.account_id) as balance,
                    (select (available * 1e9)::bigint from credit_balances
                     where credit_balances.account_id = accounts.account_id) as available
             from ledger.accounts",
        )
        .fetch_all(&mut self.db().await?)
        .await?;
        for row in rows {
            let id: String = row.get("id");
            let amount = |name: &str| row.get::<i64, _>(name);
            if self.accounts.iter().any(|account| account.account_id == id) {
                ensure!(amount("bought") == CREDITS * 1_000_000_000, "account {id} was adjusted: usage came late");
            }
            ensure!(amount("charged") == amount("logged"), "account {id}: charges are not what usage_logs adds up to");
            ensure!(amount("unleased") == amount("balance"), "account {id}: credits are stranded");
            ensure!(amount("available") == amount("balance"), "account {id}: something is held");
            ensure!(amount("lost") == 0, "account {id}: {} nanocredits were lost", amount("lost"));
        }
        Ok(())
    }

    async fn quarantine(&self) -> Result<String> {
        let rows = sqlx::query("select subject || ': ' || reason as what from ledger.quarantine limit 10")
            .fetch_all(&mut self.db().await?)
            .await?;
        Ok(rows.iter().map(|row| row.get::<String, _>("what")).collect::<Vec<_>>().join("\n"))
    }

    /// What happened, for people.
    fn tell(&self, heard: &[Heard], report: &Value, lines: &HashMap<String, Line>) {
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for heard in heard {
            let end = match &heard.ended {
                Ended::Complete { .. } => "complete".to_owned(),
                Ended::Refused { status, code, .. } => format!("{status} {code}"),
                Ended::Broken(why) => why.clone(),
            };
            *ends.entry(end).or_default() += 1;
        }
        let mut endings: BTreeMap<&str, u64> = BTreeMap::new();
        for line in lines.values() {
            *endings.entry(line.ending.as_deref().unwrap_or("none")).or_default() += 1;
        }
        eprintln!(
            "clients heard {ends:?}; the books have {endings:?}, {} events, notes {}",
            report["events"], report["notes"]
        );
    }
}

/// Holds that have not ended.
pub(crate) const OPEN_HOLDS: &str = "select count(*) from ledger.holds
    where hold is not null and charged is null and (ending is null or ending = 'deducted')";

/// A complete answer is charged once, exactly.
fn complete(heard: &Heard, lines: &HashMap<String, Line>, bill: &serde_json::Map<String, Value>) -> Result<()> {
    let Ended::Complete { prompt_tokens, completion_tokens, charged } = heard.ended else { return Ok(()) };
    let id = heard.request_id.as_ref().context("a complete answer without x-request-id")?;
    let line = lines.get(id).with_context(|| format!("{id} was answered and is in no book"))?;
    let logged = line.logged.as_ref().with_context(|| format!("{id} was answered and is not in usage_logs"))?;
    ensure!(line.charged == charged, "{id}: its client was told {charged}, charged is {line:?}");
    ensure!(logged.credits_used == charged, "{id}: its client was told {charged}, usage_logs has {logged:?}");
    ensure!(logged.status == "success" && logged.source.as_deref() == Some("provider"), "{id}: {logged:?}");
    let told = (i64::try_from(prompt_tokens)?, i64::try_from(completion_tokens)?);
    ensure!(logged.tokens == told, "{id}: its client was told {told:?} tokens, usage_logs has {logged:?}");
    let billed = bill.get(id).with_context(|| format!("{id} was answered and the provider was not asked"))?;
    ensure!(billed["status"] == "completed" && billed["calls"] == 1, "{id}: the provider's bill says {billed}");
    Ok(())
}

/// The provider is called once for a request, and only if its authorization counts.
fn called(id: &str, billed: &Value, lines: &HashMap<String, Line>) -> Result<()> {
    let line = lines.get(id).with_context(|| format!("{id}: the provider was called, and no book knows of it"))?;
    ensure!(line.counts, "{id}: the provider was called, and its authorization does not count: {line:?}");
    ensure!(billed["calls"] == 1, "{id}: the provider was called {} times", billed["calls"]);
    Ok(())
}

/// What is charged is what the provider delivered. No client of these tests leaves early and no provider breaks off, so
/// there is no estimate among it.
fn charged(id: &str, line: &Line, bill: &serde_json::Map<String, Value>) -> Result<()> {
    let logged = line.logged.as_ref();
    ensure!(logged.map_or(0, |logged| logged.credits_used) == line.charged, "{id}: {line:?}");
    let Some(logged) = logged.filter(|logged| logged.credits_used > 0) else { return Ok(()) };
    let billed = bill.get(id).with_context(|| format!("{id} is charged, and the provider was not asked: {line:?}"))?;
    ensure!(billed["status"] == "completed", "{id} is charged {line:?}, and the provider's bill says {billed}");
    let tokens = |name: &str| billed[name].as_i64().with_context(|| format!("no {name} in {billed}"));
    let delivered = (tokens("prompt_tokens")?, tokens("completion_tokens")?);
    ensure!(logged.tokens == delivered, "{id}: delivered were {delivered:?} tokens, usage_logs has {logged:?}");
    let cost = scaled(billed["cost_usd"].as_str().context("no cost_usd")?, 12)?;
    ensure!(logged.cost_usd == cost, "{id}: the provider bills {cost} picodollars, usage_logs has {logged:?}");
    // Picodollars to nanocredits, rounded once, half up.
    let due = (cost * CREDITS_A_DOLLAR + 500) / 1_000;
    ensure!(logged.credits_used == due, "{id}: {due} nanocredits are due, usage_logs has {logged:?}");
    Ok(())
}
