use std::collections::BTreeSet;

use sqlx::PgConnection;

/// Which tables a version's writer fills: all of them, or what one table needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// All of them where it is `None`.
    some: Option<BTreeSet<String>>,
}

impl Tables {
    /// Every table.
    pub fn all() -> Self {
        Self::default()
    }

    /// One table, and those that its rows are made from.
    pub fn for_one(table: &str) -> Self {
        let made_from: &[&str] = match table {
            "requests" | "credit_transactions" | "api_keys" | "price_books" | "fenced_gateways" => &[],
            // What an account has after each event is kept with its balance.
            "journal" => &["requests", "credit_balances"],
            // Sums over requests: what a request was before an event is in its row.
            _ => &["requests"],
        };
        // Usages are rated by prices, and authorizations count by lives, whatever is made of them.
        let some = [table, "price_books", "fenced_gateways"].into_iter().chain(made_from.iter().copied());
        Self { some: Some(some.map(str::to_owned).collect()) }
    }

    /// Whether this one is filled.
    pub fn has(&self, table: &str) -> bool {
        self.some.as_ref().is_none_or(|some| some.contains(table))
    }
}

/// The names of all tables of the read models.
///
/// # Errors
/// When the database fails.
pub async fn names(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(r#"select unnest(projector.tables()) as "table!" order by 1"#).fetch_all(connection).await
}

/// Those that this program fills.
///
/// # Errors
/// When the database fails.
pub async fn filled(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut names = names(connection).await?;
    names.retain(|name| name != OF_THE_RELEASE_BEFORE);
    Ok(names)
}

/// Sums by day as the release before writes them, which goes on during an upgrade.
const OF_THE_RELEASE_BEFORE: &str = "usage_daily";
