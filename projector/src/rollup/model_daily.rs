use chrono::NaiveDate;
use sqlx::PgConnection;

use super::{Rollup, UsageSums};
use crate::fold::Request;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    /// UTC.
    pub day: NaiveDate,
    pub model_id: String,
    pub provider: String,
    pub livemode: bool,
}

impl Rollup for Key {
    type Sums = UsageSums;

    fn rows(request: &Request) -> impl IntoIterator<Item = (Self, UsageSums)> {
        let facts = &request.facts;
        let key = Self {
            day: request.created_at.date_naive(),
            model_id: facts.model_id.clone().unwrap_or_default(),
            provider: facts.provider.clone().unwrap_or_default(),
            livemode: request.livemode,
        };
        [(key, UsageSums::of(request))]
    }

    async fn write(
        connection: &mut PgConnection,
        version: i32,
        rows: &[(&Self, &UsageSums)],
    ) -> Result<(), sqlx::Error> {
        add_usage!(
            connection, version, rows,
            table: "model_daily",
            unique: "day, model_id, provider, livemode",
            columns: "day, model_id, provider, livemode",
            types: "$13::date[], $14::text[], $15::text[], $16::bool[]",
            [
                &column(rows, |row| row.0.day),
                &column(rows, |row| row.0.model_id.as_str()) as &[&str],
                &column(rows, |row| row.0.provider.as_str()) as &[&str],
                &column(rows, |row| row.0.livemode),
            ],
            found_by: "d.day = any($2)", &column(rows, |row| row.0.day)
        )
    }
}
