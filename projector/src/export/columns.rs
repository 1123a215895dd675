use std::fmt::Write;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// What a column holds, whatever the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id. Text in every format: pandas, DuckDB and spreadsheets then compare it with what people paste.
    Id,
    /// Words.
    Text,
    /// A whole number, 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// An amount, exact: 20 digits, so many of them behind the point.
    Decimal {
        /// Digits behind the point.
        scale: u32,
    },
    /// A time in UTC, to the microsecond.
    Time,
}

/// A column of an export.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// As in `usage_logs`.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every row has it.
    pub required: bool,
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// An id.
    Id(Uuid),
    /// Words.
    Text(&'a str),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// An amount in its smallest units, and how many digits of it are behind the point.
    Decimal(i64, u32),
    /// A time.
    Time(DateTime<Utc>),
}

/// Credits are counted in nanocredits …
pub(super) const CREDITS: Kind = Kind::Decimal { scale: 9 };
/// … and US$ in picodollars.
pub(super) const USD: Kind = Kind::Decimal { scale: 12 };

/// The columns of `usage_logs`, in its order. A test holds them against the database.
pub const USAGE: [Column; 32] = [
    always("request_id", Kind::Id),
    always("account_id", Kind::Id),
    perhaps("api_key_id", Kind::Id),
    perhaps("model_id", Kind::Text),
    perhaps("served_model_id", Kind::Text),
    perhaps("provider", Kind::Text),
    perhaps("request_type", Kind::Text),
    always("input_tokens", Kind::Integer),
    always("cached_tokens", Kind::Integer),
    always("cache_write_tokens", Kind::Integer),
    always("output_tokens", Kind::Integer),
    always("reasoning_tokens", Kind::Integer),
    always("images", Kind::Integer),
    always("cost_usd", USD),
    always("credits_used", CREDITS),
    perhaps("hold_credits", CREDITS),
    perhaps("latency_ms", Kind::Integer),
    perhaps("ttft_ms", Kind::Integer),
    perhaps("streamed", Kind::Boolean),
    perhaps("status", Kind::Text),
    perhaps("error_message", Kind::Text),
    perhaps("usage_source", Kind::Text),
    perhaps("price_version", Kind::Integer),
    perhaps("provider_request_id", Kind::Text),
    perhaps("upstream", Kind::Text),
    always("livemode", Kind::Boolean),
    always("position", Kind::Integer),
    always("created_at", Kind::Time),
    perhaps("finished_at", Kind::Time),
    always("searches", Kind::Integer),
    perhaps("ending", Kind::Text),
    perhaps("error_code", Kind::Text),
];

const fn always(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true }
}

const fn perhaps(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false }
}

impl Column {
    /// How it is selected: amounts come in their smallest units, as integers.
    pub(super) fn select(&self) -> String {
        let name = self.name;
        match self.kind {
            Kind::Decimal { scale } => format!("({name} * 1{})::int8", "0".repeat(scale as usize)),
            Kind::Integer => format!("{name}::int8"),
            _ => name.to_owned(),
        }
    }

    /// Its cell of a row, where it was selected at this index.
    pub(super) fn read<'r>(&self, row: &'r PgRow, index: usize) -> Result<Value<'r>, sqlx::Error> {
        Ok(match self.kind {
            Kind::Id => row.try_get::<Option<Uuid>, _>(index)?.map(Value::Id),
            Kind::Text => row.try_get::<Option<&str>, _>(index)?.map(Value::Text),
            Kind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
            Kind::Boolean => row.try_get::<Option<bool>, _>(index)?.map(Value::Boolean),
            Kind::Decimal { scale } => row.try_get::<Option<i64>, _>(index)?.map(|units| Value::Decimal(units, scale)),
            Kind::Time => row.try_get::<Option<DateTime<Utc>>, _>(index)?.map(Value::Time),
        }
        .unwrap_or(Value::Null))
    }

    /// Its type in the words of SQL, which DuckDB understands as well.
    pub fn sql_type(&self) -> String {
        match self.kind {
            Kind::Id | Kind::Text => "varchar".to_owned(),
            Kind::Integer => "bigint".to_owned(),
            Kind::Boolean => "boolean".to_owned(),
            Kind::Decimal { scale } => format!("decimal({DIGITS}, {scale})"),
            Kind::Time => "timestamptz".to_owned(),
        }
    }
}

/// Digits of an amount, as in the tables.
pub(super) const DIGITS: u32 = 20;

impl Value<'_> {
    /// As it is written where everything is text; nothing for `Null`.
    pub(super) fn write(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = match self {
            Self::Null => Ok(()),
            Self::Id(id) => write!(text, "{}", id.as_hyphenated()),
            Self::Text(words) => text.write_str(words),
            Self::Integer(number) => write!(text, "{number}"),
            Self::Boolean(is) => write!(text, "{is}"),
            Self::Decimal(units, scale) => text.write_str(&decimal((*units).into(), *scale)),
            Self::Time(time) => write!(text, "{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ")),
        };
    }
}

/// Smallest units as a decimal, without zeros at its end.
pub(super) fn decimal(units: i128, scale: u32) -> String {
    let one = 10_u128.pow(scale);
    let (whole, rest) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    let fraction = format!("{rest:0width$}", width = scale as usize);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn decimals_are_exact_and_short() {
        for (units, text) in [
            (0, "0"),
            (3_360_000_000, "3.36"),
            (-1, "-0.000000001"),
            (i128::from(i64::MAX) * 3, "27670116110.564327421"),
            (7_000_000_000, "7"),
        ] {
            assert_eq!(decimal(units, 9), text);
        }
    }
}
