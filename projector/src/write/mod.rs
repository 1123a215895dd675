//! Each table's rows, a batch at a time: one statement a table, whatever the size of the batch. Amounts travel as whole
//! nanocredits and picodollars and become decimals by a multiplication in the database, which is exact.

mod accounts;
mod api_keys;
mod credit_transactions;
mod journal;
mod memory;
mod requests;
mod retired;

use sqlx::PgConnection;

use crate::apply::ApplyError;
use crate::fold::Changes;
use crate::kept::Kept;
use crate::tables::Tables;

pub(crate) use accounts::load as load_standings;
pub(crate) use memory::load as load_memory;
pub(crate) use requests::load as load_requests;
pub(crate) use retired::load as load_retired;

/// Writes all that a batch changes in these tables, for one version.
pub(crate) async fn write(
    connection: &mut PgConnection,
    version: i32,
    tables: &Tables,
    kept: &Kept,
    changes: &Changes,
) -> Result<(), ApplyError> {
    memory::write_prices(connection, version, &changes.prices).await?;
    memory::write_fenced(connection, version, &changes.fenced).await?;
    if tables.has("credit_balances") {
        accounts::open(connection, version, &changes.opened).await?;
        accounts::change(connection, version, &changes.accounts).await?;
    }
    if tables.has("credit_transactions") {
        credit_transactions::write(connection, version, &changes.transactions).await?;
    }
    if tables.has("journal") {
        journal::write(connection, version, &changes.journal).await?;
    }
    if tables.has("api_keys") {
        api_keys::issue(connection, version, &changes.issued).await?;
        api_keys::change(connection, version, &changes.keys).await?;
    }
    if tables.has("requests") {
        requests::write(connection, version, kept, &changes.requests).await?;
    }
    Ok(changes.rollups.write(connection, version, tables, kept).await?)
}

/// One column of many rows.
pub(crate) fn column<'a, R: 'a, T>(rows: impl IntoIterator<Item = &'a R>, cell: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.into_iter().map(cell).collect()
}

fn expect_rows(table: &'static str, expected: usize, found: u64) -> Result<(), ApplyError> {
    if expected as u64 == found { Ok(()) } else { Err(ApplyError::MissingRows { table, expected, found }) }
}
