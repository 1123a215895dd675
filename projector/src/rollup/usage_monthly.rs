use chrono::{Datelike, NaiveDate};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Rollup, UsageSums};
use crate::fold::Request;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    pub account_id: Uuid,
    /// Its first day, UTC.
    pub month: NaiveDate,
    pub model_id: String,
    pub provider: String,
    pub livemode: bool,
}

impl Rollup for Key {
    type Sums = UsageSums;

    fn rows(request: &Request) -> impl IntoIterator<Item = (Self, UsageSums)> {
        let (facts, day) = (&request.facts, request.created_at.date_naive());
        let key = Self {
            account_id: request.account_id,
            month: day.with_day(1).unwrap_or(day),
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
            table: "usage_monthly",
            unique: "account_id, month, model_id, provider",
            columns: "account_id, month, model_id, provider, livemode",
            types: "$13::uuid[], $14::date[], $15::text[], $16::text[], $17::bool[]",
            [
                &column(rows, |row| row.0.account_id),
                &column(rows, |row| row.0.month),
                &column(rows, |row| row.0.model_id.as_str()) as &[&str],
                &column(rows, |row| row.0.provider.as_str()) as &[&str],
                &column(rows, |row| row.0.livemode),
            ],
            found_by: "d.account_id = any($2)", &column(rows, |row| row.0.account_id)
        )
    }
}
