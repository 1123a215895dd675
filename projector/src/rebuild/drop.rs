use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::sleep;

use crate::apply::PROJECTION;
use crate::follow::months::is_lock_timeout;
use crate::tables;

/// Dropping a partition waits for those who read the table, and whoever comes then waits behind it: at most so long (it stands
/// in the statement below too). Then it lets them through and tries again.
pub(super) const PATIENCE: Duration = Duration::from_millis(300);
/// Attempts a table: longer than the longest query that an analyst may make.
const ATTEMPTS: u32 = 240;

/// Drops versions that are not live, but for one that is gone on with: those of a rebuild that was killed, or that could not be
/// dropped then.
pub(super) async fn leftovers(connection: &mut PgConnection, but: Option<i32>) -> Result<(), sqlx::Error> {
    let left = sqlx::query_scalar!(r#"select projector.leftover_versions() as "version!""#)
        .fetch_all(&mut *connection)
        .await?;
    for old in left.into_iter().filter(|old| Some(*old) != but) {
        tracing::info!(version = old, "dropping what an earlier rebuild left");
        version(connection, old).await?;
    }
    Ok(())
}

/// Drops a version; false if its readers did not let go of it in time.
pub(super) async fn version(connection: &mut PgConnection, old: i32) -> Result<bool, sqlx::Error> {
    for table in &tables::names(connection).await? {
        if !dropped(connection, old, table).await? {
            tracing::warn!(version = old, table, "the old version is still being read; the next rebuild drops it");
            return Ok(false);
        }
    }
    sqlx::query!("delete from projector.projection_quarantine where version = $1", old)
        .execute(&mut *connection)
        .await?;
    // Last: as long as this row is there, a rebuild knows that there is something to drop.
    sqlx::query!("delete from projector.projection where name = $1 and version = $2 and not live", PROJECTION, old)
        .execute(connection)
        .await?;
    Ok(true)
}

async fn dropped(connection: &mut PgConnection, old: i32, table: &str) -> Result<bool, sqlx::Error> {
    for _ in 0..ATTEMPTS {
        let mut transaction = connection.begin().await?;
        sqlx::query!("set local lock_timeout = '300ms'").execute(&mut *transaction).await?;
        let attempt =
            sqlx::query!("select projector.drop_table_of_version($1, $2)", old, table).execute(&mut *transaction).await;
        match attempt {
            Ok(_) => {
                transaction.commit().await?;
                return Ok(true);
            }
            Err(error) if is_lock_timeout(&error) => {
                transaction.rollback().await?;
                sleep(PATIENCE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
