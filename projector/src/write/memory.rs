use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use schemas::ids::EmitterId;
use schemas::price_book::PriceBook;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::column;
use crate::fold::Memory;

/// All that a version remembers from batch to batch.
pub(crate) async fn load(connection: &mut PgConnection, version: i32) -> Result<Memory, sqlx::Error> {
    let books = sqlx::query_scalar!(
        r#"select book as "book: Json<PriceBook>" from read_models.price_books where version = $1"#,
        version
    )
    .fetch_all(&mut *connection)
    .await?;
    let fenced = sqlx::query!("select gateway, position from read_models.fenced_gateways where version = $1", version)
        .fetch_all(connection)
        .await?;
    Ok(Memory {
        prices: books.into_iter().map(|Json(book)| (book.version, Arc::new(book))).collect::<BTreeMap<_, _>>(),
        fenced: fenced.into_iter().map(|row| (EmitterId(row.gateway), row.position)).collect::<HashMap<_, _>>(),
    })
}

/// Prices that were published. They are few and large, so one by one.
pub(super) async fn write_prices(
    connection: &mut PgConnection,
    version: i32,
    books: &[(Arc<PriceBook>, i64)],
) -> Result<(), sqlx::Error> {
    for (book, position) in books {
        sqlx::query!(
            "insert into read_models.price_books (version, price_version, position, book) values ($1, $2::int8::int4, $3, $4)",
            version,
            i64::from(book.version),
            position,
            Json(book.as_ref()) as _,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Lives that ended.
pub(super) async fn write_fenced(
    connection: &mut PgConnection,
    version: i32,
    rows: &[(Uuid, i64)],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into read_models.fenced_gateways (version, gateway, position) select $1, * from unnest($2::uuid[], $3::int8[])",
        version,
        &column(rows, |row| row.0),
        &column(rows, |row| row.1),
    )
    .execute(connection)
    .await?;
    Ok(())
}
