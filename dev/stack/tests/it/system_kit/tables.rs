//! What stands in the database, as its owner sees it: the read models, and the ledger behind them.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

use super::World;

const USAGE_LOG: &str = "select request_id, account_id, api_key_id, model_id, served_model_id, provider, request_type,
        input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
        trim_scale(cost_usd)::text as cost_usd, trim_scale(credits_used)::text as credits_used,
        trim_scale(hold_credits)::text as hold_credits, credits_used > 0 as is_charged,
        latency_ms, ttft_ms, streamed, status, error_message, usage_source, price_version, provider_request_id, upstream,
        livemode, ending, error_code
    from usage_logs";

/// Queries that are run again and again.
pub(crate) struct Look {
    db: PgPool,
    queries: Vec<String>,
}

impl Look {
    /// The rows of each query, in an order of their own.
    pub(crate) async fn all(&self) -> Vec<Vec<Value>> {
        let mut all = Vec::new();
        for sql in &self.queries {
            all.push(rows(&self.db, &format!("select * from ({sql}) as unordered order by unordered::text")).await);
        }
        all
    }
}

async fn rows(db: &PgPool, sql: &str) -> Vec<Value> {
    let sql = format!("select row_to_json(selected) from ({sql}) as selected");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(db).await.expect("the query runs")
}

impl World {
    /// Rows, each an object.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        rows(&self.db, sql).await
    }

    /// Queries that can be run beside a story.
    pub(crate) fn look(&self, queries: &[String]) -> Look {
        Look { db: self.db.clone(), queries: queries.to_vec() }
    }

    /// The one row that there is.
    pub(crate) async fn row(&self, sql: &str) -> Value {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "one row is there by {sql}: {rows:?}");
        rows.remove(0)
    }

    /// Everything in `usage_logs`, amounts as decimal texts.
    pub(crate) async fn usage_logs(&self) -> Vec<Value> {
        self.rows(USAGE_LOG).await
    }

    /// A request's row in `usage_logs`, as soon as it is there.
    pub(crate) async fn usage_log(&self, request_id: &str) -> Value {
        let sql = format!("{USAGE_LOG} where request_id = '{request_id}'");
        self.until(&format!("{request_id} is in usage_logs"), async || self.rows(&sql).await.pop()).await
    }

    /// An account's row in `credit_balances`, amounts as decimal texts. It may lag: see [`World::quiet`].
    pub(crate) async fn balance(&self, account_id: &str) -> Value {
        self.row(&format!(
            "select trim_scale(balance)::text as balance, trim_scale(held)::text as held,
                    trim_scale(available)::text as available, trim_scale(charged)::text as charged, tier, livemode
             from credit_balances where account_id = '{account_id}'"
        ))
        .await
    }

    /// A request's events in the order of the ledger.
    pub(crate) async fn events_of(&self, request_id: &str) -> Vec<Value> {
        let events = self
            .rows(&format!(
                "select convert_from(event, 'UTF8')::json as event from ledger.events
                 where request_id = '{request_id}' order by position"
            ))
            .await;
        events.into_iter().map(|mut row| row["event"].take()).collect()
    }

    /// An account's row in the ledger, nanocredits.
    pub(crate) async fn ledger_account(&self, account_id: &str) -> Value {
        self.row(&format!("select * from ledger.accounts where account_id = '{account_id}'")).await
    }

    /// Waits until no request runs, the gateways owe nothing, and the read models know everything.
    pub(crate) async fn quiet(&self) {
        self.until("no call to a provider is open", async || {
            self.bill_totals().into_iter().all(|totals| totals["in_flight"] == 0).then_some(())
        })
        .await;
        for gateway in (0..self.stack.gateways()).filter(|gateway| self.stack.gateway(*gateway).pid().is_some()) {
            self.until("the gateways owe nothing", async || {
                let owed = self.metric(gateway, "layers_holds_open").await
                    + self.metric(gateway, "layers_backlog_events").await;
                (owed == 0).then_some(())
            })
            .await;
        }
        self.projected().await;
    }

    /// Waits until the read models know what the ledger knows.
    pub(crate) async fn projected(&self) {
        self.until("the read models know everything", async || {
            let behind = "select head.position = projection.position as level from ledger.head, public.projection";
            (self.row(behind).await["level"] == true).then_some(())
        })
        .await;
    }
}
