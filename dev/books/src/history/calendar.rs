use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc, Weekday};

/// Hours of a year.
const HOURS: usize = 365 * 24;

/// How many requests come in each hour of the year that ends at a time.
pub(super) struct Calendar {
    pub(super) begin: DateTime<Utc>,
    /// Of each hour.
    pub(super) requests: Vec<u64>,
}

impl Calendar {
    /// Spreads requests over the 365 days before a full hour.
    pub(super) fn new(until: DateTime<Utc>, requests: u64) -> Self {
        let begin = until - TimeDelta::hours(HOURS as i64);
        let weights: Vec<u64> = (0..HOURS).map(|hour| weight(begin + TimeDelta::hours(hour as i64), hour)).collect();
        let all: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let (mut seen, mut given) = (0_u128, 0_u64);
        let shares = weights.iter().map(|weight| {
            seen += u128::from(*weight);
            let through = (seen * u128::from(requests) / all) as u64;
            let share = through - given;
            given = through;
            share
        });
        Self { begin, requests: shares.collect() }
    }
}

/// Three times as many at the end of the year as at its beginning; a third at night, and half at weekends.
fn weight(at: DateTime<Utc>, hour: usize) -> u64 {
    let growth = 1_000 + 2_000 * hour as u64 / HOURS as u64;
    let by_day = match at.hour() {
        0..6 => 33,
        6..9 | 20..24 => 66,
        _ => 100,
    };
    let weekend = matches!(at.weekday(), Weekday::Sat | Weekday::Sun);
    growth * by_day * if weekend { 50 } else { 100 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_its_hour_and_business_grows() {
        let calendar = Calendar::new("2026-11-25T00:00:00Z".parse().unwrap(), 1_000_003);
        assert_eq!(calendar.requests.iter().sum::<u64>(), 1_000_003);
        let month = 30 * 24;
        let (first, last) = (&calendar.requests[..month], &calendar.requests[HOURS - month..]);
        assert!(last.iter().sum::<u64>() > 2 * first.iter().sum::<u64>());
    }
}
