//! Kept answers in PostgreSQL, in rows that all gateways share.

use std::time::Duration;

use schemas::ids::{AccountId, RequestId};
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::time::{sleep, timeout};

use super::keep::Kept;
use super::key::{Asked, Key};
use super::metrics::OnceMetrics;
use crate::edge::Edge;
use crate::error::Error;

/// Every statement takes a millisecond; a database that has not answered by then is away.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a write is tried again while the database is away, and how long after the last try.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// Rows that one statement of the sweeper removes, so that it holds none for long.
const SWEPT_AT_ONCE: i64 = 500;

/// The answers that are kept.
pub struct Answers {
    pool: PgPool,
    metrics: OnceMetrics,
}

/// One request under its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) account_id: AccountId,
    pub(super) key: Key,
    pub(super) asked: Asked,
    pub(super) request_id: RequestId,
}

/// What there is under a key.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing: the claim has it now.
    Nothing,
    /// Something else was asked.
    Another,
    /// The answer.
    Answer(Kept),
    /// It was answered, and that was more than is kept.
    NotKept(RequestId),
    /// It is not answered yet.
    Running {
        /// By whom it is asked.
        request_id: RequestId,
        /// For how long it has run.
        since: Duration,
    },
}

/// How a request with a key ended.
#[derive(Debug)]
pub(super) enum End {
    /// Without a charge: it is forgotten, and the next one under its key runs.
    Free,
    /// With an answer that is kept.
    Answer(Kept),
    /// With an answer that is larger than what is kept: it is remembered only that there was one.
    NotKept(Kept),
}

/// What became of a request that has a key and has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs, as far as anybody knows.
    Running,
    /// It ended, and nothing was charged: another may run.
    Free,
    /// It was charged, and its answer was never kept.
    Lost,
}

/// What the books say of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InTheBooks {
    authorized: bool,
    used: bool,
    ended: bool,
    /// Since the last event.
    quiet: Duration,
}

impl Answers {
    /// A pool that connects when it is first asked. Its own, so that nobody who looks at credits waits for those who repeat
    /// themselves.
    ///
    /// # Errors
    /// When the address makes no sense.
    pub fn open(database_url: &str) -> anyhow::Result<Self> {
        const CONNECTIONS: u32 = 8;
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        Ok(Self { pool: options.connect_lazy(database_url)?, metrics: OnceMetrics::default() })
    }

    /// The counters.
    pub(crate) fn metrics(&self) -> &OnceMetrics {
        &self.metrics
    }

    /// Claims the key, or finds what is there. Of all who try at the same time, one inserts the row.
    pub(super) async fn claim(&self, claim: &Claim, at_least: Duration) -> Result<Found, Error> {
        let found = async {
            loop {
                let mine = sqlx::query_scalar!(
                    "insert into gateway.answers as a (account_id, key_hash, asked_hash, request_id, forget_at)
                     values ($1, $2, $3, $4, now() + make_interval(secs => $5))
                     on conflict (account_id, key_hash) do update
                        set asked_hash = excluded.asked_hash, request_id = excluded.request_id, claimed_at = now(),
                            forget_at = excluded.forget_at, status = null, headers = null, body = null
                        where a.forget_at <= now()
                     returning request_id",
                    claim.account_id.0,
                    &claim.key.0,
                    &claim.asked.0,
                    claim.request_id.0,
                    at_least.as_secs_f64()
                );
                if mine.fetch_optional(&self.pool).await?.is_some() {
                    return Ok(Found::Nothing);
                }
                // It may be gone by now: then it is free to be claimed.
                if let Some(found) = self.look(claim).await? {
                    return Ok(found);
                }
            }
        };
        within(found).await
    }

    async fn look(&self, claim: &Claim) -> Result<Option<Found>, sqlx::Error> {
        let row = sqlx::query!(
            r#"select asked_hash = $3 as "same!", request_id, status, headers, body,
                extract(epoch from now() - claimed_at)::double precision as "seconds!"
             from gateway.answers where account_id = $1 and key_hash = $2 and forget_at > now()"#,
            claim.account_id.0,
            &claim.key.0,
            &claim.asked.0
        );
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        let request_id = RequestId(row.request_id);
        Ok(Some(match (row.status, row.body) {
            _ if !row.same => Found::Another,
            (None, _) => {
                let since = Duration::try_from_secs_f64(row.seconds).unwrap_or_default();
                Found::Running { request_id, since }
            }
            (Some(_), None) => Found::NotKept(request_id),
            (Some(status), Some(body)) => Found::Answer(Kept {
                request_id,
                status: status.unsigned_abs(),
                headers: serde_json::from_value(row.headers.unwrap_or_default()).unwrap_or_default(),
                body: body.into(),
            }),
        }))
    }

    /// What the books say of the request that has the key.
    pub(super) async fn in_the_books(&self, claim: &Claim, request_id: RequestId) -> Result<InTheBooks, Error> {
        let asked = async {
            sqlx::query!(
                r#"select authorized as "authorized!", used as "used!", ended as "ended!", quiet_seconds as "quiet_seconds!"
                 from gateway.became_of($1, $2)"#,
                claim.account_id.0,
                request_id.0
            )
            .fetch_one(&self.pool)
            .await
        };
        let row = within(asked).await?;
        let quiet = Duration::try_from_secs_f64(row.quiet_seconds).unwrap_or_default();
        Ok(InTheBooks { authorized: row.authorized, used: row.used, ended: row.ended, quiet })
    }

    /// Takes the key of a request that has ended for nothing; whether nobody else did.
    pub(super) async fn take_over(&self, claim: &Claim, from: RequestId) -> Result<bool, Error> {
        let taken = async {
            let taken = sqlx::query!(
                "update gateway.answers set request_id = $4, claimed_at = now()
                 where account_id = $1 and key_hash = $2 and request_id = $3 and status is null",
                claim.account_id.0,
                &claim.key.0,
                from.0,
                claim.request_id.0
            );
            taken.execute(&self.pool).await
        };
        Ok(within(taken).await?.rows_affected() == 1)
    }

    /// Writes down how a request ended.
    pub(super) async fn end(&self, claim: &Claim, end: &End, keep: Duration) -> Result<(), Error> {
        match end {
            End::Free => within(self.forget(claim)).await,
            End::Answer(kept) => within(self.keep(claim, kept, Some(&kept.body), keep)).await,
            End::NotKept(kept) => within(self.keep(claim, kept, None, keep)).await,
        }
    }

    async fn keep(&self, claim: &Claim, kept: &Kept, body: Option<&[u8]>, keep: Duration) -> Result<(), sqlx::Error> {
        let headers = serde_json::to_value(&kept.headers).unwrap_or(Value::Array(Vec::new()));
        sqlx::query!(
            "update gateway.answers
             set status = $4, headers = $5, body = $6, forget_at = now() + make_interval(secs => $7)
             where account_id = $1 and key_hash = $2 and request_id = $3 and status is null",
            claim.account_id.0,
            &claim.key.0,
            claim.request_id.0,
            kept.status as i16,
            headers,
            body,
            keep.as_secs_f64()
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    async fn forget(&self, claim: &Claim) -> Result<(), sqlx::Error> {
        sqlx::query!(
            "delete from gateway.answers
             where account_id = $1 and key_hash = $2 and request_id = $3 and status is null",
            claim.account_id.0,
            &claim.key.0,
            claim.request_id.0
        )
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Removes what is to be forgotten, again and again.
    pub async fn sweep(&self, every: Duration) {
        loop {
            sleep(every).await;
            match self.sweep_once().await {
                Ok(0) => {}
                Ok(rows) => tracing::debug!(rows, "answers.swept"),
                Err(error) => tracing::warn!(%error, "answers.unswept"),
            }
        }
    }

    async fn sweep_once(&self) -> Result<u64, sqlx::Error> {
        let mut all = 0;
        loop {
            let swept = sqlx::query!(
                "delete from gateway.answers where (account_id, key_hash) in (
                     select account_id, key_hash from gateway.answers
                     where forget_at <= now() order by forget_at limit $1 for update skip locked)",
                SWEPT_AT_ONCE
            );
            let rows = swept.execute(&self.pool).await?.rows_affected();
            all += rows;
            if rows < SWEPT_AT_ONCE.unsigned_abs() {
                return Ok(all);
            }
        }
    }
}

impl InTheBooks {
    /// What became of a request that has had its key for so long. Every request is over by `surely_over`; an answer that was charged
    /// `lost_after` ago and is not kept never will be.
    pub(super) fn fate(self, since: Duration, surely_over: Duration, lost_after: Duration) -> Fate {
        match self {
            Self { used: true, quiet, .. } if quiet > lost_after => Fate::Lost,
            Self { used: true, .. } => Fate::Running,
            Self { ended: true, .. } => Fate::Free,
            // A gateway that dies before it has authorized anything leaves no trace.
            Self { authorized: false, .. } if since > surely_over => Fate::Free,
            _ => Fate::Running,
        }
    }
}

/// Writes down how a request ended, beside everything else and again and again while the database is away, for some seconds. Not
/// at once: the claim may still be on its way there.
pub(super) fn end_later(edge: &Edge, claim: Claim, end: End) {
    let edge = edge.clone();
    edge.till().track().clone().spawn(async move {
        let Some(answers) = edge.answers() else { return };
        for _ in 0..TRIES {
            tokio::select! {
                () = sleep(BETWEEN_TRIES) => {}
                () = edge.cut().cancelled() => break,
            }
            if answers.end(&claim, &end, edge.once_limits().keep).await.is_ok() {
                return;
            }
        }
        if matches!(end, End::Answer(_)) {
            answers.metrics.unkept();
            tracing::warn!(request.id = %claim.request_id, "answer.unkept");
        }
    });
}

async fn within<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, Error> {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            tracing::warn!(%error, "answers.unreachable");
            Err(Error::AnswersUnavailable)
        }
        Err(_) => {
            tracing::warn!("answers.unreachable: no answer in time");
            Err(Error::AnswersUnavailable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_runs_only_where_the_books_say_that_the_first_was_free() {
        let over = Duration::from_secs(960);
        let of = |authorized, used, ended, quiet: u64, since: u64| {
            let books = InTheBooks { authorized, used, ended, quiet: Duration::from_secs(quiet) };
            books.fate(Duration::from_secs(since), over, Duration::from_secs(30))
        };
        // Not authorized yet, authorized, and the same with a gateway that has died long ago.
        assert_eq!(of(false, false, false, 0, 3), Fate::Running);
        assert_eq!(of(true, false, false, 2, 3), Fate::Running);
        assert_eq!(of(false, false, false, 0, 961), Fate::Free);
        assert_eq!(of(true, false, false, 961, 961), Fate::Running, "the ledger is behind, and says so when it is not");
        // Released, or expired without a usage.
        assert_eq!(of(true, false, true, 0, 3), Fate::Free);
        assert_eq!(of(true, false, true, 900, 961), Fate::Free);
        // Charged: its answer is being written down, or never was.
        assert_eq!(of(true, true, true, 1, 3), Fate::Running);
        assert_eq!(of(true, true, false, 31, 40), Fate::Lost);
        assert_eq!(of(true, true, true, 31, 961), Fate::Lost);
    }
}
