use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::apply::{ApplyError, OnPoison, PROJECTION, Version};
use crate::page::Page;
use crate::{log, tables};

/// How the live version and the rebuilt one compare.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Both had read up to here.
    pub position: i64,
    /// Whether all of these tables have the same rows.
    pub same: bool,
    /// Table by table: all that were built.
    pub tables: Vec<TableComparison>,
}

/// One table in both versions.
#[derive(Clone, Debug, Serialize)]
pub struct TableComparison {
    /// Its name in schema `read_models`.
    pub table: String,
    /// Rows of the live version.
    pub rows_live: i64,
    /// Rows of the rebuilt one.
    pub rows_rebuilt: i64,
    /// Whether the rows are the same.
    pub same: bool,
}

/// Brings the version to where the live one is, in one snapshot, and compares there. The follower goes on meanwhile.
/// `None` where no version is live, or the live one is behind.
pub(super) async fn with_live(
    connection: &mut PgConnection,
    version: &mut Version,
) -> Result<Option<Comparison>, ApplyError> {
    let mut transaction = connection.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *transaction).await?;
    let live = sqlx::query!(
        "select version, position, history_from from projector.projection where name = $1 and live",
        PROJECTION
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(live) = live else {
        return Ok(None);
    };
    let tail = log::read(&mut transaction, version.position, live.position, i64::MAX).await?;
    version.apply_in(&mut transaction, &Page::of(tail), OnPoison::Stop).await?;
    if version.position != live.position {
        transaction.commit().await?;
        return Ok(None);
    }
    let mut built = tables::filled(&mut transaction).await?;
    built.retain(|table| version.tables().has(table));
    let rows = sqlx::query!(
        r#"select t.table_name as "table!", l.row_count as "rows_live!", n.row_count as "rows_rebuilt!",
            l.row_count = n.row_count and l.checksum = n.checksum as "same!"
           from unnest($3::text[]) as t(table_name)
           cross join lateral projector.checksum($1, t.table_name) l
           cross join lateral projector.checksum($2, t.table_name) n
           order by t.table_name"#,
        live.version,
        version.version,
        &built
    )
    .fetch_all(&mut *transaction)
    .await?;
    let mut tables: Vec<_> = rows
        .into_iter()
        .map(|row| TableComparison {
            table: row.table,
            rows_live: row.rows_live,
            rows_rebuilt: row.rows_rebuilt,
            same: row.same,
        })
        .collect();
    if let Some(from) = live.history_from.filter(|from| *from > 1) {
        let journal = journal_since(&mut transaction, from, live.version, version.version).await?;
        tables.iter_mut().filter(|table| table.table == journal.table).for_each(|table| *table = journal.clone());
    }
    transaction.commit().await?;
    Ok(Some(Comparison { position: live.position, same: tables.iter().all(|table| table.same), tables }))
}

/// The journal, as far as the live version has kept one: a release of the projector before it kept none.
async fn journal_since(
    connection: &mut PgConnection,
    from: i64,
    live: i32,
    rebuilt: i32,
) -> Result<TableComparison, ApplyError> {
    let row = sqlx::query!(
        r#"select count(*) filter (where version = $2) as "rows_live!", count(*) filter (where version = $3) as "rows_rebuilt!",
            coalesce(sum(hash) filter (where version = $2), 0) = coalesce(sum(hash) filter (where version = $3), 0) as "same!"
           from read_models.journal j
           cross join lateral (select hashtextextended((to_jsonb(j) - 'version')::text, 0)::numeric as hash) as hashed
           where position >= $1 and version in ($2, $3)"#,
        from,
        live,
        rebuilt
    )
    .fetch_one(connection)
    .await?;
    let (rows_live, rows_rebuilt) = (row.rows_live, row.rows_rebuilt);
    let same = rows_live == rows_rebuilt && row.same;
    Ok(TableComparison { table: "journal".to_owned(), rows_live, rows_rebuilt, same })
}
