//! The books as a whole.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use sqlx::Row;

use super::evidence::Line;
use crate::client::scaled;
use crate::world::{World, blocking};

/// What one account's requests add up to, nanocredits.
#[derive(Debug, Default)]
struct Sums {
    adjusted: i64,
    lost: i64,
}

impl World {
    /// P3. A deduction that waited for its usage in vain is overridden by the expiry; then it does not count.
    pub(super) async fn endings(&self) -> Result<()> {
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

    pub(super) async fn fences(&self) -> Result<()> {
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

    /// Each account's money is what its requests add up to, in the books and in the read models. What each has left.
    pub(super) async fn money(&self, lines: &HashMap<String, Line>) -> Result<HashMap<String, i64>> {
        let mut sums: HashMap<&str, Sums> = HashMap::new();
        for line in lines.values() {
            let sums = sums.entry(&line.account_id).or_default();
            sums.adjusted += line.adjusted;
            sums.lost += line.lost();
        }
        let rows = sqlx::query(
            "select account_id::text as id, accounts.bought, unleased, accounts.charged, accounts.lost,
                    coalesce(logged.credits_used * 1e9, 0)::bigint as logged,
                    (balance * 1e9)::bigint as balance, (available * 1e9)::bigint as available
             from ledger.accounts left join credit_balances using (account_id)
             left join (select account_id, sum(credits_used) as credits_used from usage_logs group by account_id) as logged
                using (account_id)",
        )
        .fetch_all(&mut self.db().await?)
        .await?;
        let bought: HashMap<&str, i64> =
            self.accounts.iter().map(|account| account.account_id.as_str()).zip(self.credits.iter().copied()).collect();
        let nothing = Sums::default();
        let (mut lost, mut left) = (0, HashMap::new());
        for row in rows {
            let id: String = row.get("id");
            let amount = |name: &str| row.get::<i64, _>(name);
            let sums = sums.get(id.as_str()).unwrap_or(&nothing);
            if let Some(credits) = bought.get(id.as_str()) {
                let due = credits * 1_000_000_000 - sums.adjusted;
                ensure!(amount("bought") == due, "account {id} was adjusted: bought {}, not {due}", amount("bought"));
            }
            ensure!(amount("charged") == amount("logged"), "account {id}: charges are not what usage_logs adds up to");
            ensure!(amount("unleased") == amount("balance"), "account {id}: credits are stranded");
            ensure!(amount("available") == amount("balance"), "account {id}: something is held");
            ensure!(amount("lost") == sums.lost, "account {id}: {} lost, not {}", amount("lost"), sums.lost);
            lost += sums.lost;
            left.insert(id, amount("balance"));
        }
        let told = blocking(|| self.stack.ledger_json(&["losses"]))?;
        let told = scaled(told["total"].as_str().context("`ledger losses` adds them up")?, 9)?;
        ensure!(told == lost, "`ledger losses` adds up to {told} nanocredits, the requests to {lost}");
        Ok(left)
    }

    pub(super) async fn quarantine(&self) -> Result<String> {
        let rows = sqlx::query("select subject || ': ' || reason as what from ledger.quarantine limit 10")
            .fetch_all(&mut self.db().await?)
            .await?;
        Ok(rows.iter().map(|row| row.get::<String, _>("what")).collect::<Vec<_>>().join("\n"))
    }
}
