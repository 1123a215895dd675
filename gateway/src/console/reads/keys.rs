use std::collections::HashMap;

use chrono::{DateTime, Utc};
use schemas::ids::AccountId;
use uuid::Uuid;

use super::{Reads, Refusal};

/// Keys by which requests can be picked out.
const MOST: i64 = 200;

impl Reads {
    /// When each key of an account was last used.
    pub(in super::super) async fn keys_used(
        &self,
        account: AccountId,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, DateTime<Utc>>, Refusal> {
        let rows = sqlx::query!(
            r#"select k.id as "id!", k.last_used_at from api_keys k where k.account_id = $1 and k.id = any($2)"#,
            account.0,
            keys
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|row| Some((row.id, row.last_used_at?))).collect())
    }

    /// The names of an account's keys, the last issued first.
    pub(in super::super) async fn key_names(&self, account: AccountId) -> Result<Vec<(Uuid, String)>, Refusal> {
        let rows = sqlx::query!(
            r#"
            select k.id as "id!", k.name || ' (' || k.key_prefix || '…)' as "name!"
            from api_keys k where k.account_id = $1 order by k.id desc limit $2
            "#,
            account.0,
            MOST
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.name)).collect())
    }
}
