use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Rollup, UsageSums};
use crate::fold::Request;
use crate::kept::Kept;

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    pub account_id: Uuid,
    /// Its begin.
    pub hour: DateTime<Utc>,
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
            hour: hour_of(request.created_at),
            api_key_id: facts.api_key_id.unwrap_or_default(),
            model_id: facts.model_id.clone().unwrap_or_default(),
            provider: facts.provider.clone().unwrap_or_default(),
            livemode: request.livemode,
        };
        [(key, UsageSums::of(request))]
    }

    fn is_kept(&self, kept: &Kept) -> bool {
        self.hour >= kept.hours
    }

    async fn write(
        connection: &mut PgConnection,
        version: i32,
        rows: &[(&Self, &UsageSums)],
    ) -> Result<(), sqlx::Error> {
        add_usage!(
            connection, version, rows,
            table: "usage_hourly",
            unique: "account_id, hour, api_key_id, model_id, provider",
            columns: "account_id, hour, api_key_id, model_id, provider, livemode",
            types: "$13::uuid[], $14::timestamptz[], $15::uuid[], $16::text[], $17::text[], $18::bool[]",
            [
                &column(rows, |row| row.0.account_id),
                &column(rows, |row| row.0.hour),
                &column(rows, |row| row.0.api_key_id),
                &column(rows, |row| row.0.model_id.as_str()) as &[&str],
                &column(rows, |row| row.0.provider.as_str()) as &[&str],
                &column(rows, |row| row.0.livemode),
            ],
            found_by: "d.account_id = any($2)", &column(rows, |row| row.0.account_id)
        )
    }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    // Only times beyond those of nanoseconds cannot be cut; an id's time is not among them.
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}
