//! How figures and times are written: exact where they are the subject, shortened where they stand in a column.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use schemas::money::Nanocredits;

const NANO: u128 = 1_000_000_000;

/// All of it: `1,204.5`, `0.000000001`.
pub(super) fn exact(amount: Nanocredits) -> String {
    let text = amount.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("\u{2212}", digits));
    match digits.split_once('.') {
        Some((whole, fraction)) => format!("{sign}{}.{fraction}", grouped(whole)),
        None => format!("{sign}{}", grouped(digits)),
    }
}

/// With so many places, rounded half up, so that a column lines up. What is there is never shown as nothing: `< 0.0001`.
pub(super) fn rounded(amount: Nanocredits, places: usize) -> String {
    let step = 10_u128.pow(9_u32.saturating_sub(u32::try_from(places).unwrap_or(9)));
    let size = u128::from(amount.get().unsigned_abs());
    let steps = (size + step / 2) / step;
    let sign = if amount.is_negative() { "\u{2212}" } else { "" };
    if steps == 0 && size > 0 {
        return format!("< {sign}{}", point(1, places));
    }
    format!("{sign}{}", point(steps, places))
}

/// A credit is a cent: `US$ 12.05`.
pub(super) fn dollars(amount: Nanocredits) -> String {
    let size = u128::from(amount.get().unsigned_abs());
    let cents = (size + NANO / 2) / NANO;
    let sign = if amount.is_negative() { "\u{2212}" } else { "" };
    format!("{sign}US$\u{a0}{}", point(cents, 2))
}

/// `steps` × 10^-places.
fn point(steps: u128, places: usize) -> String {
    let unit = 10_u128.pow(u32::try_from(places).unwrap_or(0));
    let whole = grouped(&(steps / unit).to_string());
    if places == 0 { whole } else { format!("{whole}.{:0places$}", steps % unit) }
}

/// `12,345`.
pub(super) fn count(number: i64) -> String {
    let digits = grouped(&number.unsigned_abs().to_string());
    if number < 0 { format!("\u{2212}{digits}") } else { digits }
}

fn grouped(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// For people: `2026-11-25 16:12:03`, UTC.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// For programs.
pub(super) fn machine_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// `850 ms`, `2.4 s`, `3 min 20 s`.
pub(super) fn span(milliseconds: i64) -> String {
    let seconds = milliseconds / 1_000;
    match seconds {
        ..=0 => format!("{milliseconds}\u{a0}ms"),
        1..=59 => format!("{seconds}.{}\u{a0}s", milliseconds % 1_000 / 100),
        60..=3_599 => format!("{}\u{a0}min {}\u{a0}s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{}\u{a0}h {}\u{a0}min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}\u{a0}d {}\u{a0}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago, in words for people who look now.
pub(super) fn ago(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match now - time {
        passed if passed < TimeDelta::seconds(2) => "just now".to_owned(),
        passed => format!("{} ago", span(passed.num_milliseconds())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> Nanocredits {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_exact_or_line_up() {
        let shown = ["0", "3.36", "1234567.5", "-1000", "0.000000001"].map(|text| exact(credits(text)));
        assert_eq!(shown, ["0", "3.36", "1,234,567.5", "\u{2212}1,000", "0.000000001"]);
        let shown =
            ["0", "3.36", "1234.56785", "-0.00005", "0.00004", "-0.00001"].map(|text| rounded(credits(text), 4));
        assert_eq!(shown, ["0.0000", "3.3600", "1,234.5679", "\u{2212}0.0001", "< 0.0001", "< \u{2212}0.0001"]);
        assert_eq!(rounded(credits("1234.5"), 0), "1,235");
        assert_eq!(dollars(credits("996.64")), "US$\u{a0}9.97");
        assert_eq!(dollars(credits("-123456")), "\u{2212}US$\u{a0}1,234.56");
    }

    #[test]
    fn times_are_written_for_people() {
        let shown = [0, 999, 2_450, 200_000, 7_260_000, 90_000_000].map(span);
        let expected = ["0 ms", "999 ms", "2.4 s", "3 min 20 s", "2 h 1 min", "1 d 1 h"];
        assert_eq!(shown.map(|text| text.replace('\u{a0}', " ")), expected);
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(ago(now, now), "just now");
        assert_eq!(ago(now - TimeDelta::seconds(5), now).replace('\u{a0}', " "), "5.0 s ago");
        assert_eq!([count(0), count(-1_234_567)], ["0", "\u{2212}1,234,567"]);
    }
}
