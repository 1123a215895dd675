//! The read models against the fold as of their checkpoint.

use std::collections::HashMap;

use anyhow::Result;
use schemas::books::Books;
use schemas::event::{Event, Payload};
use schemas::ids::RequestId;
use schemas::rate::rate;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::Report;

/// Position of the read models; nothing before a projector ran for the first time.
pub(super) async fn checkpoint(db: &mut PgConnection) -> Result<Option<u64>> {
    let position: Option<i64> = sqlx::query_scalar("select position from public.projection").fetch_optional(db).await?;
    Ok(position.map(|position| position as u64))
}

/// What of each request's usage the fold itself does not keep.
#[derive(Default)]
pub(super) struct Usages(HashMap<RequestId, Used>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Used {
    input_tokens: u64,
    output_tokens: u64,
    cost_usd: String,
}

impl Usages {
    /// Remembers a usage the first time it comes.
    pub(super) fn fold(&mut self, event: &Event, books: &Books) {
        let (Payload::UsageRecorded(data), Some(request)) = (&event.payload, event.header.request_id) else { return };
        // The cost by our own rating, as the charge is.
        let prices = books.prices.get(&data.price_version);
        let Some(Ok(rating)) = prices.map(|prices| rate(&prices.book, &data.model, &data.usage)) else { return };
        self.0.entry(request).or_insert_with(|| Used {
            input_tokens: data.usage.input_tokens,
            output_tokens: data.usage.output_tokens,
            cost_usd: rating.cost_usd.to_string(),
        });
    }
}

pub(super) async fn compare(db: &mut PgConnection, books: &Books, usages: &Usages, report: &mut Report) -> Result<()> {
    balances(db, books, report).await?;
    usage_logs(db, books, usages, report).await?;
    api_keys(db, books, report).await
}

async fn balances(db: &mut PgConnection, books: &Books, report: &mut Report) -> Result<()> {
    let rows = sqlx::query(
        "select account_id, trim_scale(balance)::text, trim_scale(held)::text, trim_scale(available)::text, tier
         from credit_balances",
    )
    .fetch_all(db)
    .await?;
    let mut found: HashMap<Uuid, [String; 4]> = HashMap::new();
    for row in rows {
        found.insert(row.get(0), [row.get(1), row.get(2), row.get(3), row.get(4)]);
    }
    for (id, account) in &books.accounts {
        let (balance, available) = (account.balance()?, account.available()?);
        let should =
            [balance.to_string(), account.held.to_string(), available.to_string(), account.tier.name().to_owned()];
        match found.remove(&id.0) {
            Some(row) if row == should => {}
            row => report.differs(
                None,
                "credit_balances",
                format!("{id}: the events say {should:?}, the table says {row:?}"),
            ),
        }
    }
    for id in found.keys() {
        report.differs(None, "credit_balances", format!("{id} is in no event"));
    }
    Ok(())
}

async fn usage_logs(db: &mut PgConnection, books: &Books, usages: &Usages, report: &mut Report) -> Result<()> {
    let rows = sqlx::query(
        "select request_id, account_id, trim_scale(credits_used)::text, input_tokens::bigint, output_tokens::bigint,
                trim_scale(cost_usd)::text
         from usage_logs",
    )
    .fetch_all(db)
    .await?;
    let mut found = HashMap::new();
    for row in rows {
        let (request, account, credits): (Uuid, Uuid, String) = (row.get(0), row.get(1), row.get(2));
        let (input, output): (Option<i64>, Option<i64>) = (row.get(3), row.get(4));
        let cost: Option<String> = row.get(5);
        if found.insert(request, (account, credits, input, output, cost)).is_some() {
            report.differs(None, "usage_logs", format!("{request} is there twice"));
        }
    }
    for (request, hold) in &books.holds {
        let row = found.remove(&request.0);
        let ended = hold.slots.has_ended();
        let Some((account, credits, input, output, cost)) = row else {
            if ended {
                report.differs(None, "usage_logs", format!("{request} is missing"));
            }
            continue;
        };
        let charged = hold.slots.charged.unwrap_or_default().to_string();
        if !ended || account != hold.account_id.0 || credits != charged {
            let what = format!(
                "{request}: the events say {charged} of {}, the table says {credits} of {account}",
                hold.account_id
            );
            report.differs(None, "usage_logs", what);
        }
        if let (Some(used), true) = (usages.0.get(request), hold.slots.charged.is_some()) {
            let same = input == Some(used.input_tokens as i64)
                && output == Some(used.output_tokens as i64)
                && cost.as_deref() == Some(&used.cost_usd);
            if !same {
                let what =
                    format!("{request}: the events say {used:?}, the table says {input:?}, {output:?}, {cost:?}");
                report.differs(None, "usage_logs", what);
            }
        }
    }
    for request in found.keys() {
        report.differs(None, "usage_logs", format!("{request} is in no event"));
    }
    Ok(())
}

async fn api_keys(db: &mut PgConnection, books: &Books, report: &mut Report) -> Result<()> {
    let rows = sqlx::query("select id, account_id, is_active, key_prefix from api_keys").fetch_all(db).await?;
    let mut found: HashMap<Uuid, (Uuid, bool, String)> = HashMap::new();
    for row in rows {
        found.insert(row.get(0), (row.get(1), row.get(2), row.get(3)));
    }
    for (id, key) in &books.keys {
        let should = (key.account_id.0, !key.revoked, key.key_prefix.clone());
        match found.remove(&id.0) {
            Some((account, active, prefix))
                if (account, &prefix) == (should.0, &should.2) && (active == should.1 || !active) => {}
            row => report.differs(None, "api_keys", format!("{id}: the events say {should:?}, the table says {row:?}")),
        }
    }
    for id in found.keys() {
        report.differs(None, "api_keys", format!("{id} is in no event"));
    }
    Ok(())
}
