use std::collections::BTreeMap;

use anyhow::{Context, Result};
use schemas::price_book::PriceBook;
use sqlx::PgConnection;

/// Every version of the prices that was published.
///
/// # Errors
/// When the database fails, or holds something else.
pub async fn price_books(db: &mut PgConnection) -> Result<BTreeMap<u32, PriceBook>> {
    let rows =
        sqlx::query!(r#"select version, book::text as "book!" from ledger.price_books"#).fetch_all(&mut *db).await?;
    let read = |version: i32, book: &str| {
        let book = serde_json::from_str(book).with_context(|| format!("price book {version} cannot be read"))?;
        Ok((u32::try_from(version)?, book))
    };
    rows.iter().map(|row| read(row.version, &row.book)).collect()
}
