//! A part of the log, named by positions or times.

use std::str::FromStr;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::PgConnection;

use crate::place::position_at;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A place in the log.
    Position(u64),
    /// When the ledger recorded it.
    Time(DateTime<Utc>),
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(position));
        }
        text.parse().map(Self::Time).map_err(|_| "a position, or an RFC 3339 time".to_owned())
    }
}

/// Positions from one to another, both included; none if the first is beyond the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct Range {
    pub from: u64,
    pub until: u64,
}

impl Range {
    /// The positions between two marks, both included, as far as the log goes; without marks, all of it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resolve(db: &mut PgConnection, from: Option<Mark>, until: Option<Mark>) -> Result<Self> {
        let head = sqlx::query_scalar!("select position from ledger.head").fetch_one(&mut *db).await? as u64;
        let from = match from {
            None => 1,
            Some(Mark::Position(position)) => position.max(1),
            // Times are counted in microseconds.
            Some(Mark::Time(time)) => {
                position_at(db, time - TimeDelta::microseconds(1)).await?.map_or(head + 1, |before| before as u64 + 1)
            }
        };
        let until = match until {
            None => head,
            Some(Mark::Position(position)) => position.min(head),
            Some(Mark::Time(time)) => position_at(db, time).await?.map_or(head, |position| (position as u64).min(head)),
        };
        Ok(Self { from, until })
    }

    /// Whether some position is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.from.max(other.from) <= self.until.min(other.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_a_position_or_a_time() {
        assert_eq!("17".parse(), Ok(Mark::Position(17)));
        assert!(matches!("2026-11-30T23:59:59Z".parse(), Ok(Mark::Time(_))));
        assert!("2026-11".parse::<Mark>().is_err());
    }

    #[test]
    fn ranges_overlap_where_a_position_is_in_both() {
        let range = |from, until| Range { from, until };
        assert!(range(1, 5).overlaps(&range(5, 9)) && range(2, 3).overlaps(&range(1, 9)));
        assert!(!range(1, 4).overlaps(&range(5, 9)) && !range(5, 4).overlaps(&range(1, 9)));
    }
}
