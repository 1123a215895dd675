use chrono::{DateTime, Utc};
use schemas::money::Nanocredits;
use uuid::Uuid;

use super::{ROWS, Reads, Refusal, amount};

/// An account among others.
pub(in super::super) struct Listed {
    pub(in super::super) account_id: Uuid,
    pub(in super::super) name: Option<String>,
    pub(in super::super) tier: String,
    pub(in super::super) livemode: bool,
    pub(in super::super) available: Nanocredits,
    pub(in super::super) held: Nanocredits,
    pub(in super::super) charged: Nanocredits,
    pub(in super::super) updated_at: DateTime<Utc>,
}

struct Row {
    account_id: Uuid,
    name: Option<String>,
    tier: String,
    livemode: bool,
    available: String,
    held: String,
    charged: String,
    updated_at: DateTime<Utc>,
}

impl Reads {
    /// A page of accounts, the last opened first: those whose id begins so or whose name or address has this in it, or all.
    pub(in super::super) async fn accounts(
        &self,
        search: Option<&str>,
        below: Option<Uuid>,
    ) -> Result<Vec<Listed>, Refusal> {
        let (first, last) = search.and_then(beginning).unwrap_or((Uuid::nil(), Uuid::nil()));
        let named = search.map(|text| format!("%{}%", escaped(text)));
        let rows = sqlx::query_as!(
            Row,
            r#"
            select b.account_id as "account_id!", coalesce(p.name, p.email) as "name?", b.tier as "tier!",
                b.livemode as "livemode!", b.available::text as "available!", b.held::text as "held!",
                b.charged::text as "charged!", b.updated_at as "updated_at!"
            from credit_balances b left join profiles p on p.account_id = b.account_id
            where b.account_id < $1
                and ($2::text is null or b.account_id between $3 and $4 or b.account_id in (
                    select n.account_id from profiles n where n.name ilike $2 or n.email ilike $2 limit 1000))
            order by b.account_id desc limit $5
            "#,
            below.unwrap_or(Uuid::max()),
            named,
            first,
            last,
            ROWS
        )
        .fetch_all(&self.pool)
        .await?;
        let listed = |row: Row| {
            Ok(Listed {
                available: amount(&row.available)?,
                held: amount(&row.held)?,
                charged: amount(&row.charged)?,
                account_id: row.account_id,
                name: row.name,
                tier: row.tier,
                livemode: row.livemode,
                updated_at: row.updated_at,
            })
        };
        rows.into_iter().map(listed).collect()
    }
}

/// The ids that begin so, from the first to the last.
fn beginning(text: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let is_hexadecimal =
        !digits.is_empty() && digits.len() <= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let filled = |with: char| {
        let all: String = digits.chars().chain(std::iter::repeat(with)).take(32).collect();
        Uuid::try_parse(&all).ok()
    };
    is_hexadecimal.then(|| Some((filled('0')?, filled('f')?)))?
}

/// For `like`, in which some letters stand for others.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|letter| matches!(letter, '%' | '_' | '\\').then_some('\\').into_iter().chain([letter]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_how_they_begin() {
        let (first, last) = beginning("0190b2a4-0").unwrap();
        assert_eq!(first.to_string(), "0190b2a4-0000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "0190b2a4-0fff-ffff-ffff-ffffffffffff");
        assert!(beginning("").is_none() && beginning("carol").is_none() && beginning(&"a".repeat(33)).is_none());
        assert_eq!(escaped("100%_\\x"), "100\\%\\_\\\\x");
    }
}
