use schemas::ids::{AccountId, ApiKeyId};
use schemas::message::{KeyRecord, LookUpKey, Refusal, RefusalCode};
use sqlx::PgPool;

use super::{database_away, refusal, unreadable};
use crate::append::load::restrictions;

/// Reads a key, its account's plan and the position of these facts in one statement, so that they belong together.
pub async fn look_up_key(pool: &PgPool, ask: &LookUpKey) -> Result<KeyRecord, Refusal> {
    let row = sqlx::query!(
        r#"select api_key_id, account_id, livemode, tier, expires_at, revoked, models, cap, cap_period,
                  (select position from ledger.head) as "position!"
           from ledger.keys join ledger.accounts using (account_id) where key_hash = $1"#,
        &ask.key_hash.0[..]
    )
    .fetch_optional(pool)
    .await
    .map_err(database_away)?
    .ok_or_else(|| refusal(RefusalCode::UnknownKey, "there is no such key"))?;
    let tier = row.tier.parse().map_err(|_| refusal(RefusalCode::Unavailable, "the account's tier is unknown"))?;
    Ok(KeyRecord {
        api_key_id: ApiKeyId(row.api_key_id),
        account_id: AccountId(row.account_id),
        livemode: row.livemode,
        tier,
        expires_at: row.expires_at,
        restrictions: restrictions(row.models, row.cap, row.cap_period.as_deref()).map_err(unreadable)?,
        revoked: row.revoked,
        position: row.position as u64,
    })
}
