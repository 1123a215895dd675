//! The closing of the books, at the end of every story:
//!
//! | what | against |
//! |---|---|
//! | the gateways stop in order, their lives are ended, and everything is given back | `ledger.lives`, `ledger.accounts` |
//! | the books add up, and so does every table | `ledger verify` |
//! | no hold is open | `ledger.holds`, `credit_balances` |
//! | every call is in `usage_logs` with the provider's figures, and nothing else is | the provider's own bill |
//! | every charge is the provider's cost and 60 %, rounded once, and never more than the hold | `usage_logs` |

use std::collections::HashMap;

use serde_json::{Map, Value};
use stack::program::Simulator;

use super::{World, blocking};

/// A provider's bill by request id.
pub(crate) type Bill = Map<String, Value>;

/// Says so when a story ends without [`World::close`].
#[derive(Debug, Default)]
pub(crate) struct Debts {
    settled: bool,
}

impl Drop for Debts {
    fn drop(&mut self) {
        assert!(self.settled || std::thread::panicking(), "a story ends with `close`");
    }
}

impl World {
    /// The providers' bills, by request.
    pub(crate) fn bill(&self) -> Bill {
        let lines = |simulator: &Simulator| simulator.bill_by_request().expect("the provider tells its bill");
        let mut bill = Bill::new();
        for (id, line) in blocking(|| self.simulators().flat_map(lines).collect::<Vec<_>>()) {
            match bill.get_mut(&id) {
                // Where one failed and another was asked, the one that answered counts. Only what was given up may be billed
                // beside it.
                Some(other) => {
                    let is_free = |line: &Value| line["cost_usd"] == "0" || line["status"] == "cancelled";
                    assert!(is_free(other) || is_free(&line), "{id} is billed twice: {other}, {line}");
                    if is_free(other) {
                        *other = line;
                    }
                }
                None => drop(bill.insert(id, line)),
            }
        }
        bill
    }

    /// The provider of live traffic by its place in the list of upstreams.
    pub(crate) fn provider(&self, index: usize) -> &Simulator {
        &self.live[index]
    }

    /// From now on this provider does so with every request.
    pub(crate) fn wish(&self, index: usize, wishes: &str) {
        blocking(|| self.provider(index).wish(wishes).expect("the provider knows the wish"));
    }

    /// Calls that this provider has heard of.
    pub(crate) fn calls(&self, index: usize) -> u64 {
        let bill = blocking(|| self.provider(index).bill().expect("the provider tells its bill"));
        bill["requests"].as_u64().expect("a number")
    }

    /// What the providers were asked under this request id, if they were.
    pub(crate) fn billed(&self, request_id: &str) -> Option<Value> {
        self.bill().remove(request_id)
    }

    /// The providers' bills, summed up.
    pub(crate) fn bill_totals(&self) -> Vec<Value> {
        blocking(|| self.simulators().map(|one| one.bill().expect("the provider tells its bill")).collect())
    }

    /// The provider of live traffic, where it is another one than the sandbox's.
    pub(crate) fn live_provider(&self) -> &Simulator {
        self.live.first().unwrap_or(self.stack.simulator())
    }

    fn simulators(&self) -> impl Iterator<Item = &Simulator> {
        std::iter::once(self.stack.simulator()).chain(&self.live)
    }

    /// Closes the books: everything must add up, and the provider's bill be what `usage_logs` says.
    pub(crate) async fn close(self) {
        self.close_but(&[]).await;
    }

    /// Closes the books; of these requests, which were answered in full, the provider's bill says something else than
    /// `usage_logs`, as their story has shown.
    pub(crate) async fn close_but(mut self, different: &[&str]) {
        self.quiet().await;
        let bill = self.bill();
        for gateway in 0..self.stack.gateways() {
            blocking(|| self.stack.gateway(gateway).stop().expect("the gateway stops in order"));
        }
        // Whose gateway has stopped is fenced at once, and that is an event more.
        let lives = "select gateway, state from ledger.lives where state <> 'fenced'";
        let all_ended = async || self.rows(lives).await.is_empty().then_some(());
        self.until("the ledger has ended the lives of the gateways", all_ended).await;
        self.projected().await;
        let open = "select * from ledger.accounts where leased <> 0 or held <> 0";
        let open = self.rows(open).await;
        assert!(open.is_empty(), "the gateways have stopped, and something is leased or held: {open:?}");
        let shown = self.rows("select * from credit_balances where held <> 0 or available <> balance").await;
        assert!(shown.is_empty(), "the read model shows something held: {shown:?}");

        let report = self.ledger(&["verify"]);
        assert_eq!(report["ok"], true, "verify says {report:#}");
        assert_eq!((&report["open_holds"], &report["quarantined"]), (&0.into(), &0.into()), "{report:#}");
        assert_eq!(report["read_models_position"], report["position"], "{report:#}");

        let logs: HashMap<String, Value> = self.usage_logs().await.into_iter().map(|row| (id_of(&row), row)).collect();
        for (id, line) in &bill {
            let row = logs.get(id).unwrap_or_else(|| panic!("{id} was billed and is not in usage_logs: {line}"));
            same_call(id, line, row, different.contains(&id.as_str()));
        }
        for (id, row) in &logs {
            assert!(row["ending"] != "deducted" || bill.contains_key(id), "no provider knows of {row}");
        }
        let wrong = self
            .rows(
                "select usage_logs.* from usage_logs left join ledger.price_books on version = price_version
                 where ending = 'deducted' and credits_used is distinct from least(hold_credits, round(cost_usd * 100
                     * (1 + coalesce(book -> 'models' -> model_id ->> 'margin_bps', book ->> 'default_margin_bps')::numeric
                            / 10000), 9))
                 or coalesce(ending, '') <> 'deducted' and credits_used <> 0",
            )
            .await;
        assert!(wrong.is_empty(), "not the provider's cost and the margin: {wrong:?}");
        self.debts.settled = true;
        blocking(|| self.stack.stop().expect("everything stops in order"));
    }
}

fn id_of(row: &Value) -> String {
    row["request_id"].as_str().expect("a row has a request id").to_owned()
}

/// A line of the provider's bill and our row say the same.
fn same_call(id: &str, line: &Value, row: &Value, different: bool) {
    let both = format!("the provider's bill says {line}, usage_logs says {row}");
    assert_eq!(line["calls"], 1, "{id}: the provider is called once; {both}");
    assert_eq!(line["model"], row["model_id"], "{id}: {both}");
    assert_eq!(line["streamed"], row["streamed"], "{id}: {both}");
    if different {
        return;
    }
    if line["status"] != "completed" {
        assert!(row["status"] != "success" && row["usage_source"] != "provider", "{id}: {both}");
        return;
    }
    assert_eq!((&row["status"], &row["usage_source"]), (&"success".into(), &"provider".into()), "{id}: {both}");
    for (theirs, ours) in [
        ("prompt_tokens", "input_tokens"),
        ("cached_tokens", "cached_tokens"),
        ("cache_write_tokens", "cache_write_tokens"),
        ("completion_tokens", "output_tokens"),
        ("images", "images"),
        ("cost_usd", "cost_usd"),
    ] {
        assert_eq!(line[theirs], row[ours], "{id}: {theirs}; {both}");
    }
    // Anthropic does not say how much of the output was thought.
    if row["request_type"] != "message" {
        assert_eq!(line["reasoning_tokens"], row["reasoning_tokens"], "{id}: {both}");
    }
}
