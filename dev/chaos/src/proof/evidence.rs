//! What is known of each request: in the books, in the read model, at the provider.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use serde_json::{Map, Value};
use sqlx::Row;

use crate::world::World;

/// All of it, at rest.
#[derive(Debug)]
pub struct Evidence {
    /// By request id.
    pub lines: HashMap<String, Line>,
    /// The provider's own bill by request id.
    pub bill: Map<String, Value>,
    /// Of `ledger verify`.
    pub report: Value,
    /// What each account has left, nanocredits.
    pub left: HashMap<String, i64>,
}

/// What a request came to. Amounts are nanocredits.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// Who pays.
    pub account_id: String,
    /// Its authorization was read before its gateway's fence.
    pub counts: bool,
    /// How it ended.
    pub ending: Option<String>,
    /// Set aside.
    pub hold: i64,
    /// What its usage is worth by the ledger's own rating, if it came.
    pub usage: Option<i64>,
    /// From its hold, if its ending took effect with a charge.
    pub charged: Option<i64>,
    /// Taken later, since its usage came when it had ended without a charge.
    pub adjusted: i64,
    /// Of late usage: what its account could not pay.
    pub late_loss: i64,
    /// Whether its usage came late.
    pub late: bool,
    /// In the read model.
    pub logged: Option<Logged>,
}

/// A row of `usage_logs`.
#[derive(Debug, Clone, Default)]
pub struct Logged {
    /// Nanocredits.
    pub credits_used: i64,
    /// Picodollars.
    pub cost_usd: i64,
    /// In and out.
    pub tokens: (i64, i64),
    /// `success`, `error`, `cancelled`.
    pub status: String,
    /// `provider`, `estimated`; none where nothing was used.
    pub source: Option<String>,
}

impl Line {
    /// What its account paid.
    pub fn paid(&self) -> i64 {
        self.charged.unwrap_or(0) + self.adjusted
    }

    /// What the platform bears of it.
    pub fn lost(&self) -> i64 {
        self.late_loss + self.charged.map_or(0, |charged| self.usage.unwrap_or(charged) - charged)
    }
}

impl World {
    pub(super) async fn lines(&self) -> Result<HashMap<String, Line>> {
        let rows = sqlx::query(
            "select request_id::text as id, holds.account_id::text as account_id, coalesce(counts, false) as counts,
                    holds.ending, coalesce(hold, 0) as hold, usage, charged, late.request_id is not null as late,
                    coalesce(adjusted, 0)::bigint as adjusted, coalesce(late_loss, 0)::bigint as late_loss,
                    (credits_used * 1e9)::bigint as credits_used, (cost_usd * 1e12)::bigint as cost_usd,
                    input_tokens, output_tokens, status, usage_source
             from ledger.holds
             left join (
                select request_id, -(data->>'amount')::numeric * 1e9 as adjusted, (data->>'loss')::numeric * 1e9 as late_loss
                from (select request_id, convert_from(event, 'UTF8')::json->'data' as data from ledger.events
                      where event_type = 'CreditsAdjusted' and request_id is not null) as adjustments
             ) as late using (request_id)
             left join usage_logs using (request_id)",
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
            let line = Line {
                account_id: row.get("account_id"),
                counts: row.get("counts"),
                ending: row.get("ending"),
                hold: row.get("hold"),
                usage: row.get("usage"),
                charged: row.get("charged"),
                adjusted: row.get("adjusted"),
                late_loss: row.get("late_loss"),
                late: row.get("late"),
                logged,
            };
            let id: String = row.get("id");
            ensure!(lines.insert(id.clone(), line).is_none(), "{id} is there twice");
        }
        Ok(lines)
    }
}
