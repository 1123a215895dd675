//! What a rebuild begins with: the version that a killed one left, or an empty one.
//!
//! A version that is not live holds exactly what its events say, up to its checkpoint, as one program made it: each batch was one
//! transaction. So it is gone on with if the program is the same to the byte, the tables have the same columns, the same was
//! asked for, and the log is the one that it read.

use std::hash::{DefaultHasher, Hasher};

use chrono::Utc;
use sqlx::{Connection, PgConnection};

use super::{RebuildError, Wanted, drop};
use crate::apply::{PROJECTION, Version};
use crate::follow::months;
use crate::log;
use crate::tables::{self, Tables};

/// The version to fill. What an earlier rebuild left and is of no use is dropped.
pub(super) async fn begin(connection: &mut PgConnection, wanted: &Wanted) -> Result<Version, RebuildError> {
    let tables = match &wanted.only {
        None => Tables::all(),
        Some(only) => {
            let known = tables::filled(connection).await?;
            if !known.contains(only) {
                return Err(RebuildError::UnknownTable { table: only.clone(), known: known.join(", ") });
            }
            Tables::for_one(only)
        }
    };
    let program = program(connection).await?;
    let left = if wanted.from_start { None } else { left(connection, wanted, &program).await? };
    drop::leftovers(connection, left).await?;
    let version = match left {
        Some(version) => version,
        None => create(connection, wanted, &program).await?,
    };
    Version::load(connection, version, tables).await?.ok_or(RebuildError::Gone)
}

/// This program, to the byte, and the columns that it fills.
async fn program(connection: &mut PgConnection) -> Result<String, RebuildError> {
    let columns = sqlx::query_scalar!(r#"select projector.columns_mark() as "mark!""#).fetch_one(connection).await?;
    let file = std::env::current_exe().and_then(std::fs::read).map_err(RebuildError::Program)?;
    let mut hasher = DefaultHasher::new();
    hasher.write(&file);
    Ok(format!("{:016x} {columns}", hasher.finish()))
}

/// The version of a killed rebuild that can be gone on with.
async fn left(connection: &mut PgConnection, wanted: &Wanted, program: &str) -> Result<Option<i32>, sqlx::Error> {
    sqlx::query_scalar!(
        "select p.version from projector.projection p
         where p.name = $1 and not p.live and p.program = $2 and p.only_table is not distinct from $3 and p.position > 0
            and exists (select from ledger.events e where e.position = p.position and e.recorded_at = p.as_of)
            and not exists (select from projector.projection l where l.name = $1 and l.live and l.position < p.position)
         order by p.position desc limit 1",
        PROJECTION,
        program,
        wanted.only
    )
    .fetch_optional(connection)
    .await
}

/// An empty version with partitions for all months of the log.
async fn create(connection: &mut PgConnection, wanted: &Wanted, program: &str) -> Result<i32, sqlx::Error> {
    let now = Utc::now();
    let first = log::recorded_at(connection, 1).await?.unwrap_or(now);
    let mut transaction = connection.begin().await?;
    let version = sqlx::query_scalar!(
        r#"select projector.create_version($1, $2) as "version!""#,
        first.min(now) - months::BEFORE,
        now + months::AHEAD
    )
    .fetch_one(&mut *transaction)
    .await?;
    sqlx::query!(
        "update projector.projection set program = $3, only_table = $4 where name = $1 and version = $2",
        PROJECTION,
        version,
        program,
        wanted.only
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(version)
}
