//! What a page is asked for: days, filters, and where a list goes on. What makes no sense is said, what is not named is usual.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use uuid::Uuid;

use super::answer::Refusal;

/// The query as pairs; the last one of a name counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(HashMap<String, String>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned();
        let asked: HashMap<String, String> = pairs.filter(|(_, value)| !value.trim().is_empty()).collect();
        if asked.values().any(|value| value.contains('\0') || value.len() > 300) {
            return Err(Refusal::Invalid("A filter is longer than anything that can be found by it.".to_owned()));
        }
        Ok(Self(asked))
    }
}

impl Query {
    /// A member, without the space round it.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }

    pub(super) fn id(&self, name: &str, what: &str) -> Result<Option<Uuid>, Refusal> {
        let read = |text: &str| text.parse().map_err(|_| Refusal::Invalid(format!("'{text}' is no {what}.")));
        self.text(name).map(read).transpose()
    }

    pub(super) fn position(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text: &str| {
            let position = text.parse().ok().filter(|position| *position >= 0);
            position.ok_or_else(|| Refusal::Invalid(format!("'{text}' is no position.")))
        };
        self.text(name).map(read).transpose()
    }

    fn day(&self, name: &str) -> Result<Option<NaiveDate>, Refusal> {
        let read =
            |text: &str| text.parse().map_err(|_| Refusal::Invalid(format!("'{text}' is no day such as 2026-11-25.")));
        self.text(name).map(read).transpose()
    }

    /// The same query with other members; an empty value takes one away.
    pub(super) fn with(&self, path: &str, others: &[(&str, &str)]) -> String {
        let mut pairs: Vec<(&str, &str)> = self
            .0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !others.iter().any(|(other, _)| other == name))
            .chain(others.iter().copied().filter(|(_, value)| !value.is_empty()))
            .collect();
        pairs.sort_unstable();
        if pairs.is_empty() {
            return path.to_owned();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{path}?{query}")
    }
}

/// Days of UTC: from one on, up to and with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: NaiveDate,
    pub(super) last: NaiveDate,
}

impl Range {
    /// As the query names it; else the last so many days. `longest` is the most that is looked through at once.
    pub(super) fn asked(query: &Query, today: NaiveDate, usual: u64, longest: i64) -> Result<Self, Refusal> {
        let last = query.day("until")?.unwrap_or(today).min(today);
        let from =
            query.day("from")?.or_else(|| last.checked_sub_days(Days::new(usual.saturating_sub(1)))).unwrap_or(last);
        let range = Self { from, last };
        if from < NaiveDate::default() || from > last {
            return Err(Refusal::Invalid(format!("There are no days from {from} to {last}.")));
        }
        if range.length() > longest {
            return Err(Refusal::Invalid(format!(
                "At most {longest} days can be looked at together here, and {} were asked for.",
                range.length()
            )));
        }
        Ok(range)
    }

    /// How many days.
    pub(super) fn length(self) -> i64 {
        (self.last - self.from).num_days() + 1
    }

    /// The day after the last one.
    pub(super) fn end(self) -> NaiveDate {
        self.last.succ_opt().unwrap_or(self.last)
    }

    /// When the first day begins.
    pub(super) fn begins_at(self) -> DateTime<Utc> {
        self.from.and_time(NaiveTime::MIN).and_utc()
    }

    /// When the last day is over.
    pub(super) fn ends_at(self) -> DateTime<Utc> {
        self.end().and_time(NaiveTime::MIN).and_utc()
    }

    pub(super) fn days(self) -> impl Iterator<Item = NaiveDate> {
        self.from.iter_days().take_while(move |day| *day <= self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_named_is_usual_and_what_makes_no_sense_is_said() {
        let asked = |text: &str| Range::asked(&query(text), day("2026-11-25"), 30, 92);
        let usual = asked("").unwrap();
        assert_eq!((usual.from, usual.last, usual.length()), (day("2026-10-27"), day("2026-11-25"), 30));
        assert_eq!(asked("until=2027-01-01").unwrap(), usual, "the future has no usage");
        assert_eq!(asked("from=2026-11-25").unwrap().days().count(), 1);
        for wrong in
            ["from=x", "until=2026-13-01", "from=2026-11-26", "from=2026-01-01", "from=-0001-01-01&until=-0001-01-02"]
        {
            assert!(matches!(asked(wrong), Err(Refusal::Invalid(_))), "{wrong}");
        }
    }

    #[test]
    fn links_keep_what_was_asked() {
        let asked = query("model=openai%2Fgpt-4o&after=7");
        assert_eq!(asked.with("/x", &[("after", "")]), "/x?model=openai%2Fgpt-4o");
        assert_eq!(asked.with("/x", &[("after", "8&<")]), "/x?after=8%26%3C&model=openai%2Fgpt-4o");
        assert_eq!(query("").with("/x", &[]), "/x");
    }
}
