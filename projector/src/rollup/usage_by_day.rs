use chrono::NaiveDate;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Rollup, UsageSums};
use crate::fold::Request;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    pub account_id: Uuid,
    /// UTC.
    pub day: NaiveDate,
    /// Nil without a key.
    pub api_key_id: Uuid,
    pub model_id: String,
    pub provider: String,
    pub livemode: bool,
}

impl Rollup for Key {
    type Sums = UsageSums;

    fn rows(request: &Request) -> impl IntoIterator<Item = (Self, UsageSums)> {
        let facts = &request.facts;
        let key = Self {
            account_id: request.account_id,
            day: request.created_at.date_naive(),
            api_key_id: facts.api_key_id.unwrap_or_default(),
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
            table: "usage_by_day",
            unique: "account_id, day, api_key_id, model_id, provider",
            columns: "account_id, day, api_key_id, model_id, provider, livemode",
            types: "$13::uuid[], $14::date[], $15::uuid[], $16::text[], $17::text[], $18::bool[]",
            [
                &column(rows, |row| row.0.account_id),
                &column(rows, |row| row.0.day),
                &column(rows, |row| row.0.api_key_id),
                &column(rows, |row| row.0.model_id.as_str()) as &[&str],
                &column(rows, |row| row.0.provider.as_str()) as &[&str],
                &column(rows, |row| row.0.livemode),
            ],
            found_by: "d.account_id = any($2)", &column(rows, |row| row.0.account_id)
        )
    }
}
