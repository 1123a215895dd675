use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::ids::AccountId;

use super::{Balances, Row};
use crate::error::{Error, Invalid};

const PARAM: &str = "as_of";

/// A place in the history, as a client names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AsOf {
    /// After the event at this position.
    Position(i64),
    /// After all events that were recorded up to this time.
    Time(DateTime<Utc>),
}

impl AsOf {
    /// What the query asks for, if it does.
    pub(super) fn asked(query: Result<Query<Vec<(String, String)>>, QueryRejection>) -> Result<Option<Self>, Error> {
        let Query(asked) = query.map_err(|_| invalid("The query cannot be read."))?;
        let mut asked = asked.into_iter().filter(|(name, _)| name == PARAM);
        match (asked.next(), asked.next()) {
            (None, _) => Ok(None),
            (Some((_, text)), None) => Self::read(&text).map(Some),
            (Some(_), Some(_)) => Err(invalid("'as_of' is there twice.")),
        }
    }

    fn read(text: &str) -> Result<Self, Error> {
        const EXPECTED: &str = "Invalid value for 'as_of': expected a position (a whole number from 1 on) or a time \
                                (RFC 3339, such as 2026-11-30T23:59:59Z).";
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            // What is too long for a position is beyond every log.
            let position = text.parse().unwrap_or(i64::MAX);
            return if position > 0 { Ok(Self::Position(position)) } else { Err(invalid(EXPECTED)) };
        }
        // Who writes the + of an offset as it is sends a space.
        let mut text = text.to_owned();
        let offset = text.len().checked_sub("+00:00".len());
        if let Some(sign) = offset.filter(|sign| *sign >= "2026-11-30T00:00:00".len())
            && text.as_bytes()[sign] == b' '
        {
            text.replace_range(sign..=sign, "+");
        }
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| invalid(EXPECTED))?;
        Ok(Self::Time(time.to_utc()))
    }
}

fn invalid(message: &str) -> Error {
    Invalid::new("invalid_value", PARAM, message).into()
}

impl Balances {
    /// What the account had there. The outer error is the database's, the inner one the answer.
    pub(super) async fn at(
        &self,
        account: AccountId,
        as_of: AsOf,
        now: DateTime<Utc>,
    ) -> Result<Result<Row, Error>, sqlx::Error> {
        let future = || invalid("'as_of' lies in the future.");
        let position = match as_of {
            AsOf::Position(position) => Some(position),
            AsOf::Time(time) if time > now => return Ok(Err(future())),
            AsOf::Time(time) => self.position_at(time).await?,
        };
        let found = sqlx::query!(
            r#"
            select p.position as "reached!", p.as_of as "reached_at?", p.history_from,
                public.recorded_at($2) as recorded_at,
                h.balance::text as "balance?", h.held::text as "held?", h.available::text as "available?"
            from projection p
            left join lateral (
                select c.balance, c.held, c.available from credit_history c
                where c.account_id = $1 and c.position <= $2
                order by c.position desc limit 1
            ) h on true
            where p.name = 'read_models'
            "#,
            account.0,
            position
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(found) = found else { return Ok(Err(Error::CannotRead)) };
        let reached_at = found.reached_at.map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
        let not_yet = Error::AsOfNotYetKnown { reached: found.reached, reached_at };
        let Some(position) = position else { return Ok(Err(not_yet)) };
        let existed = position > 0;
        Ok(match (found.recorded_at, found.balance, found.held, found.available) {
            (None, ..) if existed => Err(future()),
            _ if position > found.reached => Err(not_yet),
            (Some(as_of), Some(balance), Some(held), Some(available))
                if found.history_from.is_some_and(|from| from <= position) =>
            {
                Ok(Row { balance, held, available, position, as_of })
            }
            // The journal of a version that is older than journals says nothing about earlier times.
            _ if existed && found.history_from != Some(1) => Err(Error::HistoryNotBuilt),
            _ => Err(Error::NoAccountThen),
        })
    }

    async fn position_at(&self, time: DateTime<Utc>) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar!("select public.position_at($1)", time).fetch_one(&self.pool).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<AsOf> {
        AsOf::read(text).ok()
    }

    #[test]
    fn positions_and_times_are_told_apart() {
        let time = AsOf::Time("2026-10-31T23:00:00Z".parse().unwrap());
        assert_eq!(read("42"), Some(AsOf::Position(42)));
        assert_eq!(read("2026-10-31T23:00:00Z"), Some(time));
        assert_eq!(read("2026-11-01T00:00:00+01:00"), Some(time));
        assert_eq!(read("2026-11-01T00:00:00 01:00"), Some(time), "a + that was not escaped");
        assert_eq!(read("99999999999999999999"), Some(AsOf::Position(i64::MAX)));
    }

    #[test]
    fn what_is_neither_is_refused_by_name() {
        for text in
            ["", "0", "-1", "1.5", "yesterday", "2026-11-01", "2026-11-01T00:00:00", "2026-13-01T00:00:00Z", "ä 01:00"]
        {
            let Err(error) = AsOf::read(text) else { panic!("{text} was read") };
            let face = error.face();
            assert_eq!((face.status.as_u16(), face.param.as_deref()), (400, Some("as_of")), "{text}");
        }
    }
}
