use chrono::NaiveDate;
use schemas::money::MoneyError;
use sqlx::PgConnection;

use super::{Rollup, Sums, plus};
use crate::fold::Request;
use crate::write::column;

/// Which row: a bucket of times.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Key {
    /// UTC.
    pub day: NaiveDate,
    /// `latency` or `ttft`.
    pub measure: &'static str,
    pub model_id: String,
    pub provider: String,
    pub livemode: bool,
    pub bucket: Bucket,
}

/// Times that count as one, milliseconds: from the first to just below the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    from_ms: i64,
    below_ms: i64,
}

/// Binary digits of a time that its bucket keeps: five make a bucket 1/16 of its lower end wide, or less, so that its middle is
/// off by 1/32 at most. Buckets do not depend on what is in them, so rows can be added up. `projector.latency_shift` has it too.
const DIGITS: u32 = 5;

impl Bucket {
    /// Where a time belongs.
    pub fn of(ms: i64) -> Self {
        let digits = i64::BITS - ms.leading_zeros();
        let dropped = digits.saturating_sub(DIGITS);
        let from_ms = ms >> dropped << dropped;
        Self { from_ms, below_ms: from_ms.saturating_add(1 << dropped) }
    }
}

/// How many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests(pub i64);

impl Sums for Requests {
    fn plus(self, other: &Self, times: i64) -> Result<Self, MoneyError> {
        plus(self.0, other.0, times).map(Self)
    }
}

impl Rollup for Key {
    type Sums = Requests;

    /// Only what was answered to the end says how fast a provider is.
    fn rows(request: &Request) -> impl IntoIterator<Item = (Self, Requests)> {
        let facts = &request.facts;
        let succeeded = facts.status.as_deref() == Some("success");
        let measured = [("latency", facts.latency_ms), ("ttft", facts.ttft_ms)];
        let measured = measured.into_iter().filter_map(move |(measure, ms)| Some((measure, ms.filter(|_| succeeded)?)));
        measured.map(|(measure, ms)| {
            let key = Self {
                day: request.created_at.date_naive(),
                measure,
                model_id: facts.model_id.clone().unwrap_or_default(),
                provider: facts.provider.clone().unwrap_or_default(),
                livemode: request.livemode,
                bucket: Bucket::of(ms),
            };
            (key, Requests(1))
        })
    }

    async fn write(connection: &mut PgConnection, version: i32, rows: &[(&Self, &Requests)]) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "insert into read_models.latency_daily as d
                (version, day, measure, model_id, provider, livemode, from_ms, below_ms, requests)
             select $1, c.* from unnest($2::date[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::int8[], $8::int8[], $9::int8[]) as c
             on conflict (day, measure, model_id, provider, livemode, from_ms, version) do update set
                requests = d.requests + excluded.requests",
            version,
            &column(rows, |row| row.0.day),
            &column(rows, |row| row.0.measure) as &[&str],
            &column(rows, |row| row.0.model_id.as_str()) as &[&str],
            &column(rows, |row| row.0.provider.as_str()) as &[&str],
            &column(rows, |row| row.0.livemode),
            &column(rows, |row| row.0.bucket.from_ms),
            &column(rows, |row| row.0.bucket.below_ms),
            &column(rows, |row| row.1.0),
        )
        .execute(&mut *connection)
        .await?;
        if rows.iter().any(|row| row.1.0 < 0) {
            // A late fact moved a request to another row: a rebuild makes no empty one.
            sqlx::query!(
                "delete from read_models.latency_daily d where d.version = $1 and d.requests = 0 and d.day = any($2)",
                version,
                &column(rows, |row| row.0.day),
            )
            .execute(connection)
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bucket_is_off_by_a_32nd_at_most_and_small_times_are_exact() {
        for ms in (0..200_000).chain([900_000, i64::from(i32::MAX), 1 << 40]) {
            let Bucket { from_ms, below_ms } = Bucket::of(ms);
            assert!(from_ms <= ms && ms < below_ms, "{ms}");
            let middle_twice = from_ms + below_ms - 1;
            assert!((middle_twice - 2 * ms).abs() * 16 <= ms, "{ms}");
            assert!(ms >= 32 || below_ms == from_ms + 1, "{ms}");
            assert_eq!(Bucket::of(from_ms), Bucket::of(below_ms - 1));
        }
    }
}
