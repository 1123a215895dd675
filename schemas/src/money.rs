//! 1 credit = US$ 0.01 = 10⁹ nanocredits = 10¹⁰ picodollars. Checked integers, never floating point.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount or calculation that does not fit, or a text that is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Beyond what 64 bits hold.
    #[error("the amount is too large")]
    Overflow,
    /// Not a decimal number.
    #[error("not a decimal amount")]
    NotADecimal,
    /// More digits after the point than the smallest unit has.
    #[error("the amount has more decimal places than are counted")]
    TooFine,
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident, $places:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(i64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest amount that can be said.
            pub const MAX: Self = Self(i64::MAX);

            /// From a count of the smallest unit.
            pub const fn new(smallest_units: i64) -> Self {
                Self(smallest_units)
            }

            /// The count of the smallest unit.
            pub const fn get(self) -> i64 {
                self.0
            }

            /// Sum, or `Overflow`.
            pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
                self.0.checked_add(other.0).map(Self).ok_or(MoneyError::Overflow)
            }

            /// Difference (it may be negative), or `Overflow`.
            pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
                self.0.checked_sub(other.0).map(Self).ok_or(MoneyError::Overflow)
            }

            /// Difference, but never below zero.
            pub fn minus_or_zero(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0).max(0))
            }

            /// From a count that was computed in wider integers.
            pub fn from_wide(smallest_units: i128) -> Result<Self, MoneyError> {
                i64::try_from(smallest_units).map(Self).map_err(|_| MoneyError::Overflow)
            }

            /// Below zero.
            pub fn is_negative(self) -> bool {
                self.0 < 0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_decimal(f, self.0.into(), $places)
            }
        }

        impl FromStr for $name {
            type Err = MoneyError;
            fn from_str(text: &str) -> Result<Self, MoneyError> {
                parse_decimal(text, $places).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = MoneyError;
            fn try_from(text: String) -> Result<Self, MoneyError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(amount: $name) -> String {
                amount.to_string()
            }
        }
    };
}

amount!(
    /// Credits, counted in 10⁻⁹. Written as a decimal string of credits: `"3.36"`.
    Nanocredits,
    9
);
amount!(
    /// US dollars, counted in 10⁻¹². Written as a decimal string of dollars: `"0.021"`.
    Picodollars,
    12
);

amount!(
    /// A price: US dollars a million tokens, written `"0.0625"`. The smallest unit is one picodollar a token.
    PerMillion,
    6
);
amount!(
    /// A price: US dollars a thousand pieces, written `"2.5"`. The smallest unit is one picodollar a piece.
    PerThousand,
    9
);

impl Nanocredits {
    /// Whole credits.
    pub fn from_credits(credits: i64) -> Result<Self, MoneyError> {
        credits.checked_mul(1_000_000_000).map(Self).ok_or(MoneyError::Overflow)
    }

    /// The same in dollars, exactly: a nanocredit is ten picodollars.
    pub fn in_dollars(self) -> Result<Picodollars, MoneyError> {
        Picodollars::from_wide(i128::from(self.0) * 10)
    }
}

/// A sum of amounts as people write it, counted in 10^-`places`: sums may be larger than any amount.
pub fn decimal(smallest_units: i128, places: usize) -> String {
    struct Decimal(i128, usize);
    impl fmt::Display for Decimal {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_decimal(f, self.0, self.1)
        }
    }
    Decimal(smallest_units, places).to_string()
}

impl Picodollars {
    /// An amount as providers write it in JSON, number or string, with an exponent or without, cut after the picodollar.
    /// `None` if it is no amount, or less than nothing.
    pub fn from_json(json: &str) -> Option<Self> {
        const PLACES: i32 = 12;
        let text = json.trim_matches('"');
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok().filter(|e| e.abs() < 100)?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        // The value is the digits, times ten to the power of so much, in picodollars.
        let shift = exponent + PLACES - i32::try_from(fraction.len()).ok()?;
        let picodollars = if shift >= 0 {
            let ten = 10_i128.checked_pow(shift.unsigned_abs())?;
            digits.parse::<i128>().ok()?.checked_mul(ten)?
        } else {
            let kept = digits.len().saturating_sub(shift.unsigned_abs() as usize);
            // Only digits may be cut away, never an amount that is none.
            digits.parse::<i128>().ok()?;
            digits.get(..kept).filter(|kept| !kept.is_empty() && *kept != "-").map_or(Ok(0), str::parse).ok()?
        };
        Self::from_wide(picodollars).ok().filter(|amount| !amount.is_negative())
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, value: i128, places: usize) -> fmt::Result {
    let unit = 10_u128.pow(places as u32);
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    if fraction == 0 {
        return write!(f, "{sign}{whole}");
    }
    let digits = format!("{fraction:0places$}");
    write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
}

fn parse_decimal(text: &str, places: usize) -> Result<i64, MoneyError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || (digits.contains('.') && fraction.is_empty())
    {
        return Err(MoneyError::NotADecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > places {
        return Err(MoneyError::TooFine);
    }
    if whole.len() > 20 {
        return Err(MoneyError::Overflow);
    }
    let scaled: i128 = format!("{whole}{fraction:0<places$}").parse().map_err(|_| MoneyError::Overflow)?;
    i64::try_from(if negative { -scaled } else { scaled }).map_err(|_| MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_written_as_people_write_them() {
        assert_eq!(Nanocredits::new(3_360_000_000).to_string(), "3.36");
        assert_eq!(Nanocredits::new(-1).to_string(), "-0.000000001");
        assert_eq!(Nanocredits::from_credits(100).unwrap().to_string(), "100");
        assert_eq!(decimal(-i128::from(u64::MAX) * 10, 9), "-184467440737.09551615");
        assert_eq!(Nanocredits::new(3_360_000_000).in_dollars().unwrap().to_string(), "0.0336");
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, error) in [
            ("", MoneyError::NotADecimal),
            ("1e3", MoneyError::NotADecimal),
            ("1.", MoneyError::NotADecimal),
            (".5", MoneyError::NotADecimal),
            ("--1", MoneyError::NotADecimal),
            ("0.0000000001", MoneyError::TooFine),
            ("99999999999", MoneyError::Overflow),
        ] {
            assert_eq!(text.parse::<Nanocredits>(), Err(error), "{text}");
        }
    }

    #[test]
    fn dollars_are_read_as_json_writes_them() {
        for (json, amount) in [
            ("0.021", "0.021"),
            ("2.1e-05", "0.000021"),
            ("\"0.0055\"", "0.0055"),
            ("1E2", "100"),
            ("0", "0"),
            ("0.0000000000019", "0.000000000001"),
            ("1.5e-13", "0"),
        ] {
            assert_eq!(Picodollars::from_json(json).unwrap().to_string(), amount, "{json}");
        }
        for json in ["-1", "true", "\"\"", "1e99", "\"abc\"", "\"1e-20x\"", "[1]"] {
            assert_eq!(Picodollars::from_json(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[-+0-9.eE\"]{0,12}") {
            let _ = Picodollars::from_json(&text);
        }

        #[test]
        fn text_and_back(value: i64) {
            prop_assert_eq!(Nanocredits::new(value).to_string().parse::<Nanocredits>().unwrap(), Nanocredits::new(value));
            prop_assert_eq!(Picodollars::new(value).to_string().parse::<Picodollars>().unwrap(), Picodollars::new(value));
        }
    }
}
