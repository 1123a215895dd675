use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// Who is behind an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Profile {
    pub account_id: Uuid,
    pub email: Option<String>,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Why a profile was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A typing error would keep a person's name where nobody looks for it.
    #[error("there is no account {0} (yet)")]
    UnknownAccount(Uuid),
    /// The database's word.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Sets what is given and leaves the rest as it is.
///
/// # Errors
/// When there is no such account.
pub async fn set(
    connection: &mut PgConnection,
    account_id: Uuid,
    email: Option<&str>,
    name: Option<&str>,
) -> Result<Profile, SetError> {
    sqlx::query_as!(
        Profile,
        "insert into public.profiles as p (account_id, email, name)
         select b.account_id, $2, $3 from public.credit_balances b where b.account_id = $1
         on conflict (account_id) do update set
            email = coalesce(excluded.email, p.email),
            name = coalesce(excluded.name, p.name),
            updated_at = now()
         returning account_id, email, name, created_at, updated_at",
        account_id,
        email,
        name,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(SetError::UnknownAccount(account_id))
}

/// The profile of an account, if it has one.
///
/// # Errors
/// When the database fails.
pub async fn show(connection: &mut PgConnection, account_id: Uuid) -> Result<Option<Profile>, sqlx::Error> {
    sqlx::query_as!(
        Profile,
        "select account_id, email, name, created_at, updated_at from public.profiles where account_id = $1",
        account_id
    )
    .fetch_optional(connection)
    .await
}

/// Forgets a person; false if there was nothing to forget. Nothing else in the system knows the name or the address.
///
/// # Errors
/// When the database fails.
pub async fn erase(connection: &mut PgConnection, account_id: Uuid) -> Result<bool, sqlx::Error> {
    let erased =
        sqlx::query!("delete from public.profiles where account_id = $1", account_id).execute(connection).await?;
    Ok(erased.rows_affected() > 0)
}
