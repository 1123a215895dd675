//! Sums over requests that have ended: each is a table, kept up to date by what the requests of a batch add to its rows.
//!
//! A rollup is one file here and its name in the list below (docs/projections.md walks through one):
//!
//! | it says | by |
//! |---|---|
//! | which rows a request counts in, and what it adds to each | `rows`, pure |
//! | how what a batch adds gets into the table | `write`, one statement |
//!
//! The rest is the same for all. A request that changes is taken out of its rows as it was and put in as it is now, so events in
//! any order come to the same sums, and what is written for a batch is the difference.

/// What most rollups sum up.
#[macro_use]
mod usage_sums;

use std::collections::BTreeMap;
use std::fmt::Debug;

use schemas::money::MoneyError;
use sqlx::PgConnection;

pub use usage_sums::UsageSums;

use crate::fold::Request;
use crate::kept::Kept;
use crate::tables::Tables;

/// Declares the rollups: each name is a file here, which has a `Key`.
macro_rules! rollups {
    ($($name:ident: $what:literal),+ $(,)?) => {
        $(#[doc = $what] pub mod $name;)+

        /// What a batch adds to each rollup.
        #[derive(Clone, Debug, Default)]
        pub struct Rollups {
            $(#[doc = $what] pub $name: Rows<$name::Key>,)+
        }

        impl Rollups {
            /// What became of a request: as it was before the batch, if it was known, and as it is now.
            pub(crate) fn change(&mut self, before: Option<&Request>, now: &Request) -> Result<(), MoneyError> {
                $(self.$name.change(before, now)?;)+
                Ok(())
            }

            /// Writes what belongs to these tables, a statement each. A rollup's table has its name.
            pub(crate) async fn write(
                &self,
                connection: &mut PgConnection,
                version: i32,
                tables: &Tables,
                kept: &Kept,
            ) -> Result<(), sqlx::Error> {
                $(if tables.has(stringify!($name)) {
                    self.$name.write(connection, version, kept).await?;
                })+
                Ok(())
            }
        }
    };
}

rollups! {
    usage_by_day: "By account, day, key, model and provider: the view `usage_daily`.",
    usage_hourly: "The same by hour. Its months can be retired.",
    usage_monthly: "By account, month, model and provider.",
    model_daily: "By day, model and provider, over all accounts.",
    latency_daily: "How many answers took how long.",
}

/// A row's name in a rollup: what its primary key has beside the version.
#[allow(async_fn_in_trait, reason = "each is awaited where its type is known")]
pub trait Rollup: Clone + Debug + Ord {
    /// What is summed up.
    type Sums: Sums;

    /// The rows in which a request that has ended counts, and what it adds to each.
    fn rows(request: &Request) -> impl IntoIterator<Item = (Self, Self::Sums)>;

    /// Whether rows of this name are still kept.
    fn is_kept(&self, _kept: &Kept) -> bool {
        true
    }

    /// Adds to the table what a batch changes. Rows come in the order of their names: one order for all who write.
    async fn write(
        connection: &mut PgConnection,
        version: i32,
        rows: &[(&Self, &Self::Sums)],
    ) -> Result<(), sqlx::Error>;
}

/// Something that can be added up.
pub trait Sums: Clone + Copy + Debug + Default + PartialEq {
    /// This and so many times another: 1 adds, -1 takes out again.
    fn plus(self, other: &Self, times: i64) -> Result<Self, MoneyError>;
}

/// What is to be added to the rows of one rollup.
#[derive(Clone, Debug)]
pub struct Rows<K: Rollup>(pub BTreeMap<K, K::Sums>);

impl<K: Rollup> Default for Rows<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Rollup> Rows<K> {
    fn change(&mut self, before: Option<&Request>, now: &Request) -> Result<(), MoneyError> {
        for (request, times) in [(before, -1), (Some(now), 1)] {
            let Some(request) = request.filter(|request| request.slots.has_ended()) else { continue };
            for (key, sums) in K::rows(request) {
                let sum = self.0.entry(key).or_default();
                *sum = sum.plus(&sums, times)?;
            }
        }
        Ok(())
    }

    async fn write(&self, connection: &mut PgConnection, version: i32, kept: &Kept) -> Result<(), sqlx::Error> {
        let changes = |row: &(&K, &K::Sums)| *row.1 != K::Sums::default() && row.0.is_kept(kept);
        let rows: Vec<_> = self.0.iter().filter(changes).collect();
        if rows.is_empty() { Ok(()) } else { K::write(connection, version, &rows).await }
    }
}

/// A sum, checked.
fn plus(a: i64, b: i64, times: i64) -> Result<i64, MoneyError> {
    times.checked_mul(b).and_then(|b| a.checked_add(b)).ok_or(MoneyError::Overflow)
}
