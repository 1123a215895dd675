use schemas::merkle::{Grown, Hash};
use sqlx::PgConnection;

/// Writes the tiles of a batch: one statement. A tile that is full is never written again; the table refuses it.
pub(crate) async fn store(db: &mut PgConnection, grown: &Grown) -> Result<(), sqlx::Error> {
    if grown.0.is_empty() {
        return Ok(());
    }
    let levels: Vec<i16> = grown.0.iter().map(|(tile, _)| i16::from(tile.level)).collect();
    let indexes: Vec<i64> = grown.0.iter().map(|(tile, _)| tile.index as i64).collect();
    let hashes: Vec<Vec<u8>> = grown.0.iter().map(|(_, hashes)| Hash::concat(hashes)).collect();
    sqlx::query!(
        "insert into ledger.tiles (level, index, hashes) select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
         on conflict (level, index) do update set hashes = excluded.hashes",
        &levels,
        &indexes,
        &hashes
    )
    .execute(db)
    .await?;
    Ok(())
}
