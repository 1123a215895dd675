use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use serde::{Serialize, Serializer};

/// A calendar month, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month {
    /// Its first day.
    first: NaiveDate,
    /// The first day after it.
    next: NaiveDate,
}

impl Month {
    /// Its first moment.
    pub fn from(self) -> DateTime<Utc> {
        self.first.and_time(NaiveTime::MIN).and_utc()
    }

    /// The first moment after it.
    pub fn until(self) -> DateTime<Utc> {
        self.next.and_time(NaiveTime::MIN).and_utc()
    }
}

impl FromStr for Month {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a month such as 2026-11";
        let is_plain = text.len() == 7 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let first = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok().filter(|_| is_plain);
        let first = first.ok_or(EXPECTED)?;
        Ok(Self { first, next: first.checked_add_months(Months::new(1)).ok_or(EXPECTED)? })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.first.year(), self.first.month())
    }
}

impl Serialize for Month {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_one_begins() {
        let month: Month = "2026-12".parse().unwrap();
        assert_eq!(
            (month.from().to_rfc3339(), month.until().to_rfc3339()),
            ("2026-12-01T00:00:00+00:00".into(), "2027-01-01T00:00:00+00:00".into())
        );
        assert_eq!(month.to_string(), "2026-12");
        for text in ["2026", "2026-13", "2026-1", "26-11", "2026-11-01", "november"] {
            assert!(text.parse::<Month>().is_err(), "{text}");
        }
    }
}
