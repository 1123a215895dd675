//! Pages of accounts and keys, as committed. Read from the tables: nothing is decided by them.

use schemas::ids::{AccountId, ApiKeyId};
use schemas::message::{
    AccountReply, AccountsReply, CreditsReply, KeyReply, KeysReply, LARGEST_PAGE, ListAccounts, ListKeys, Refusal,
    RefusalCode,
};
use schemas::money::Nanocredits;
use sqlx::PgPool;

use super::{refusal, unreadable};
use crate::append::load::restrictions;

/// A page of all accounts.
pub async fn list_accounts(pool: &PgPool, ask: &ListAccounts) -> Result<AccountsReply, Refusal> {
    let limit = page(ask.limit);
    let mut rows = sqlx::query!(
        r#"select account_id, livemode, counterpart, tier, bought - charged as "balance!", held,
                  unleased + leased as "available!", (select position from ledger.head) as "position!"
           from ledger.accounts where $1::uuid is null or account_id > $1 order by account_id limit $2"#,
        ask.after.map(|id| id.0),
        limit as i64 + 1
    )
    .fetch_all(pool)
    .await
    .map_err(away)?;
    let more = cut(&mut rows, limit);
    let accounts = rows.into_iter().map(|row| {
        let account_id = AccountId(row.account_id);
        Ok(AccountReply {
            account_id,
            livemode: row.livemode,
            counterpart: AccountId(row.counterpart),
            tier: row.tier.parse().map_err(|_| refusal(RefusalCode::Unavailable, "a tier is unknown"))?,
            credits: CreditsReply {
                account_id,
                balance: Nanocredits::new(row.balance),
                held: Nanocredits::new(row.held),
                available: Nanocredits::new(row.available),
                position: row.position as u64,
                repeated: false,
            },
        })
    });
    Ok(AccountsReply { accounts: accounts.collect::<Result<_, Refusal>>()?, more })
}

/// A page of an account's keys.
pub async fn list_keys(pool: &PgPool, ask: &ListKeys) -> Result<KeysReply, Refusal> {
    let limit = page(ask.limit);
    let known = sqlx::query_scalar!(
        r#"select exists (select from ledger.accounts where account_id = $1) as "known!""#,
        ask.account_id.0
    );
    if !known.fetch_one(pool).await.map_err(away)? {
        return Err(refusal(RefusalCode::UnknownAccount, format!("there is no account {}", ask.account_id)));
    }
    let mut rows = sqlx::query!(
        "select api_key_id, account_id, key_prefix, name, expires_at, models, cap, cap_period, revoked, created_at
         from ledger.keys where account_id = $1 and ($2::uuid is null or api_key_id > $2) order by api_key_id limit $3",
        ask.account_id.0,
        ask.after.map(|id| id.0),
        limit as i64 + 1
    )
    .fetch_all(pool)
    .await
    .map_err(away)?;
    let more = cut(&mut rows, limit);
    let keys = rows.into_iter().map(|row| {
        Ok(KeyReply {
            api_key_id: ApiKeyId(row.api_key_id),
            account_id: AccountId(row.account_id),
            key_prefix: row.key_prefix,
            name: row.name,
            expires_at: row.expires_at,
            restrictions: restrictions(row.models, row.cap, row.cap_period.as_deref()).map_err(unreadable)?,
            revoked: row.revoked,
            created_at: row.created_at,
        })
    });
    Ok(KeysReply { keys: keys.collect::<Result<_, Refusal>>()?, more })
}

fn page(limit: u32) -> usize {
    limit.clamp(1, LARGEST_PAGE) as usize
}

/// One row more than a page was asked for: that it came says that there are more.
fn cut<T>(rows: &mut Vec<T>, limit: usize) -> bool {
    let more = rows.len() > limit;
    rows.truncate(limit);
    more
}

fn away(error: sqlx::Error) -> Refusal {
    refusal(RefusalCode::Unavailable, format!("the database is away: {error}"))
}
