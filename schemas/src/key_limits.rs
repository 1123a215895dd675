//! What an API key may do beside what its account may: which models it may ask, and how much it may spend in a day, a month
//! or in all.

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, RequestId};
use crate::money::Nanocredits;

/// What a key may do. Nothing said is nothing restricted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restrictions {
    /// The models that it may ask: ids of the price book, or all of a provider as `anthropic/*`. Absent: every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The most that it may spend. Absent: what its account has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
}

/// The most that a key may spend in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// Credits, more than zero.
    pub credits: Nanocredits,
    /// After which it begins anew.
    pub period: Period,
}

/// How long a cap lasts. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight to midnight.
    Day,
    /// From the first to the first.
    Month,
    /// For ever.
    Total,
}

/// Not the name of a period.
#[derive(Debug, thiserror::Error)]
#[error("no period is named '{0}'; there are day, month and total")]
pub struct UnknownPeriod(String);

/// One key in one period: what its spending is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyPeriod {
    /// The key.
    pub api_key_id: ApiKeyId,
    /// The first day of the period.
    pub from: NaiveDate,
}

impl Restrictions {
    /// Whether nothing is restricted.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a model of the price book may be asked.
    pub fn allow(&self, model_id: &str) -> bool {
        let Some(models) = &self.models else { return true };
        let provider = model_id.split_once('/').map(|(provider, _)| provider);
        models.iter().any(|allowed| match allowed.strip_suffix("/*") {
            Some(of) => provider == Some(of),
            None => allowed == model_id,
        })
    }
}

impl Period {
    /// As it is written in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }

    /// The first day of the period that a time is in.
    pub fn from(self, time: DateTime<Utc>) -> NaiveDate {
        let day = time.date_naive();
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Total => NaiveDate::default(),
        }
    }

    /// When the period that begins with a day is over; never, if it lasts for ever.
    pub fn until(self, from: NaiveDate) -> Option<DateTime<Utc>> {
        let next = match self {
            Self::Day => from.checked_add_days(Days::new(1)),
            Self::Month => from.checked_add_months(Months::new(1)),
            Self::Total => None,
        };
        next.map(|day| day.and_time(NaiveTime::MIN).and_utc())
    }
}

impl std::str::FromStr for Period {
    type Err = UnknownPeriod;
    fn from_str(text: &str) -> Result<Self, UnknownPeriod> {
        let known = [Self::Day, Self::Month, Self::Total].into_iter().find(|period| period.name() == text);
        known.ok_or_else(|| UnknownPeriod(text.to_owned()))
    }
}

impl KeyPeriod {
    /// Where a request of a key is counted: by the time in its id, so that everybody counts it in the same period.
    pub fn of(api_key_id: ApiKeyId, period: Period, request_id: RequestId) -> Self {
        Self { api_key_id, from: period.from(request_id.time()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_models_allows_these_and_no_others() {
        let of = |models: &[&str]| Restrictions {
            models: Some(models.iter().map(|model| (*model).to_owned()).collect()),
            cap: None,
        };
        assert!(Restrictions::default().allow("openai/gpt-4o"));
        let some = of(&["openai/gpt-4o", "anthropic/*"]);
        for (model, allowed) in [
            ("openai/gpt-4o", true),
            ("openai/gpt-4o-mini", false),
            ("anthropic/claude-haiku-4.5", true),
            ("anthropic-2/claude", false),
            ("anthropic", false),
        ] {
            assert_eq!(some.allow(model), allowed, "{model}");
        }
        assert!(!of(&[]).allow("openai/gpt-4o"));
    }

    #[test]
    fn periods_are_those_of_utc() {
        let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let last = time("2026-12-31T23:59:59.999Z");
        assert_eq!(Period::Day.from(last), day("2026-12-31"));
        assert_eq!(Period::Day.until(day("2026-12-31")), Some(time("2027-01-01T00:00:00Z")));
        assert_eq!(Period::Month.from(last), day("2026-12-01"));
        assert_eq!(Period::Month.until(day("2026-12-01")), Some(time("2027-01-01T00:00:00Z")));
        assert_eq!(Period::Total.from(last), Period::Total.from(time("1999-01-01T00:00:00Z")));
        assert_eq!(Period::Total.until(Period::Total.from(last)), None);
    }
}
