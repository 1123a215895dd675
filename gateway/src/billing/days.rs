use chrono::{Days, NaiveDate, NaiveTime};

use crate::error::Invalid;

/// Days of UTC, from one and up to another that does not belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: NaiveDate,
    pub(super) until: NaiveDate,
}

/// What is asked for, by the names that the parameters have on a route.
pub(super) struct Asked {
    pub(super) from: (&'static str, Option<NaiveDate>),
    pub(super) until: (&'static str, Option<NaiveDate>),
    /// The longest that is summed up at once, in days.
    pub(super) longest: u32,
}

impl Asked {
    /// The range; where no end is named, up to today, and where no beginning is named, this long.
    pub(super) fn range(&self, today: NaiveDate, usual: Days) -> Result<Range, Invalid> {
        let (from, until) = (self.from.0, self.until.0);
        let after = |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(day);
        let end = self.until.1.unwrap_or_else(|| after(today));
        let begin = self.from.1.or_else(|| end.checked_sub_days(usual)).unwrap_or(end);
        for (name, day) in [(from, begin), (until, end)] {
            // What a database can say of days.
            let first = NaiveDate::default();
            if !(first..=after(today.checked_add_days(Days::new(366)).unwrap_or(today))).contains(&day) {
                let message =
                    format!("Invalid '{name}': expected a day from {first} to a year from now, but got {day}.");
                return Err(Invalid::new("invalid_value", name, message));
            }
        }
        if begin >= end {
            let message = format!("Invalid '{until}': expected a day after '{from}' ({begin}), but got {end}.");
            return Err(Invalid::new("invalid_value", until, message));
        }
        let length = (end - begin).num_days();
        if length > i64::from(self.longest) {
            let message = format!(
                "Invalid '{from}': at most {} days are summed up at once here, but {length} were asked for.",
                self.longest
            );
            return Err(Invalid::new("invalid_value", from, message));
        }
        Ok(Range { from: begin, until: end })
    }
}

impl Range {
    /// The days, oldest first.
    pub(super) fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.from.iter_days().take_while(move |day| *day < self.until)
    }
}

/// Seconds since 1970 at a day's beginning.
pub(super) fn timestamp(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn range(from: Option<&str>, until: Option<&str>) -> Result<Range, Option<String>> {
        let asked = Asked { from: ("from", from.map(day)), until: ("until", until.map(day)), longest: 31 };
        asked.range(day("2026-11-25"), Days::new(30)).map_err(|invalid| invalid.param)
    }

    #[test]
    fn what_is_not_said_is_the_last_thirty_days() {
        let whole = Range { from: day("2026-10-27"), until: day("2026-11-26") };
        assert_eq!(range(None, None), Ok(whole));
        assert_eq!(whole.days().count(), 30);
        assert_eq!(range(Some("2026-11-20"), None), Ok(Range { from: day("2026-11-20"), ..whole }));
        assert_eq!(range(None, Some("2026-01-01")), Ok(Range { from: day("2025-12-02"), until: day("2026-01-01") }));
        assert_eq!(timestamp(day("1970-01-02")), 86_400);
    }

    #[test]
    fn what_makes_no_range_is_refused_by_name() {
        for (from, until, param) in [
            (Some("2026-11-25"), Some("2026-11-25"), "until"),
            (Some("2026-11-26"), Some("2026-11-25"), "until"),
            (Some("2026-10-25"), Some("2026-11-26"), "from"),
            (Some("1969-12-31"), Some("1970-01-02"), "from"),
            (Some("-262143-01-01"), None, "from"),
            (None, Some("+262142-12-31"), "from"),
        ] {
            assert_eq!(range(from, until), Err(Some(param.to_owned())), "{from:?} {until:?}");
        }
    }
}
