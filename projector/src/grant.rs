use serde::Serialize;
use sqlx::PgConnection;
use uuid::Uuid;

/// A role of the database that sees one account.
#[derive(Debug, Serialize)]
pub struct Grant {
    /// The account.
    pub account_id: Uuid,
    /// Its name.
    pub role: String,
    /// What it logs in with. It is kept nowhere; another grant of the same account gives another one.
    pub password: String,
}

/// Makes the role of an account, or gives it another password.
///
/// # Errors
/// When there is no such account, or the database fails.
pub async fn grant(connection: &mut PgConnection, account: Uuid) -> Result<Grant, sqlx::Error> {
    // 244 random bits.
    let password = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let role =
        sqlx::query_scalar!(r#"select projector.grant_account($1, $2)::text as "role!""#, account, password.as_str())
            .fetch_one(connection)
            .await?;
    Ok(Grant { account_id: account, role, password })
}

/// Takes the role of an account away; false where there was none.
///
/// # Errors
/// When the database fails.
pub async fn revoke(connection: &mut PgConnection, account: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select projector.revoke_account($1) as "revoked!""#, account).fetch_one(connection).await
}
