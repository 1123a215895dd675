use chrono::{DateTime, Utc};
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;
use uuid::Uuid;

use super::super::query::Range;
use super::{ROWS, Reads, Refusal, amount};

/// What is looked for.
pub(in super::super) struct Filter {
    pub(in super::super) range: Range,
    pub(in super::super) model: Option<String>,
    pub(in super::super) status: Option<String>,
    pub(in super::super) key: Option<Uuid>,
    /// The last one of the page before.
    pub(in super::super) after: Option<RequestId>,
}

/// A request that has ended.
pub(in super::super) struct Request {
    pub(in super::super) request_id: Uuid,
    pub(in super::super) account_id: Uuid,
    pub(in super::super) key_name: Option<String>,
    pub(in super::super) model: Option<String>,
    pub(in super::super) status: Option<String>,
    pub(in super::super) error_code: Option<String>,
    pub(in super::super) input_tokens: i64,
    pub(in super::super) output_tokens: i64,
    pub(in super::super) credits: Nanocredits,
    pub(in super::super) latency_ms: Option<i64>,
    pub(in super::super) created_at: DateTime<Utc>,
}

struct Row {
    request_id: Uuid,
    account_id: Uuid,
    key_name: Option<String>,
    model: Option<String>,
    status: Option<String>,
    error_code: Option<String>,
    input_tokens: i64,
    output_tokens: i64,
    credits: String,
    latency_ms: Option<i64>,
    created_at: DateTime<Utc>,
}

impl Reads {
    /// A page of an account's requests, newest first: the index by account and time, from where the page before ended.
    pub(in super::super) async fn requests(
        &self,
        account: AccountId,
        filter: &Filter,
    ) -> Result<Vec<Request>, Refusal> {
        let rows = sqlx::query_as!(
            Row,
            r#"
            select l.request_id as "request_id!", l.account_id as "account_id!", k.name as "key_name?", l.model_id as model,
                l.status, l.error_code, l.input_tokens as "input_tokens!", l.output_tokens as "output_tokens!",
                l.credits_used::text as "credits!", l.latency_ms, l.created_at as "created_at!"
            from usage_logs l left join api_keys k on k.id = l.api_key_id and k.account_id = l.account_id
            where l.account_id = $1 and l.created_at >= $2 and l.created_at < $3
                and ($4::text is null or l.model_id = $4) and ($5::text is null or l.status = $5)
                and ($6::uuid is null or l.api_key_id = $6)
                and ($7::timestamptz is null or (l.created_at, l.request_id) < ($7, $8::uuid))
            order by l.created_at desc, l.request_id desc limit $9
            "#,
            account.0,
            filter.range.begins_at(),
            filter.range.ends_at(),
            filter.model.as_deref(),
            filter.status.as_deref(),
            filter.key,
            filter.after.map(RequestId::time),
            filter.after.map(|after| after.0),
            ROWS
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(request).collect()
    }

    /// The same of all accounts. Ids carry the time, so the key of the table is an index by time.
    pub(in super::super) async fn requests_of_all(&self, filter: &Filter) -> Result<Vec<Request>, Refusal> {
        let below = filter.after.map_or_else(|| first_id(filter.range.ends_at()), |after| after.0);
        let rows = sqlx::query_as!(
            Row,
            r#"
            select l.request_id as "request_id!", l.account_id as "account_id!", k.name as "key_name?", l.model_id as model,
                l.status, l.error_code, l.input_tokens as "input_tokens!", l.output_tokens as "output_tokens!",
                l.credits_used::text as "credits!", l.latency_ms, l.created_at as "created_at!"
            from usage_logs l left join api_keys k on k.id = l.api_key_id and k.account_id = l.account_id
            where l.created_at >= $1 and l.created_at < $2 and l.request_id >= $3 and l.request_id < $4
                and ($5::text is null or l.model_id = $5) and ($6::text is null or l.status = $6)
                and ($7::uuid is null or l.api_key_id = $7)
            order by l.request_id desc limit $8
            "#,
            filter.range.begins_at(),
            filter.range.ends_at(),
            first_id(filter.range.begins_at()),
            below,
            filter.model.as_deref(),
            filter.status.as_deref(),
            filter.key,
            ROWS
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(request).collect()
    }

    /// Whose request it is, whoever asks: for operators.
    pub(in super::super) async fn account_of(&self, request: Uuid) -> Result<Option<Uuid>, Refusal> {
        Ok(sqlx::query_scalar!("select ledger.account_of_request($1)", request).fetch_one(&self.pool).await?)
    }
}

fn request(row: Row) -> Result<Request, Refusal> {
    Ok(Request {
        credits: amount(&row.credits)?,
        request_id: row.request_id,
        account_id: row.account_id,
        key_name: row.key_name,
        model: row.model,
        status: row.status,
        error_code: row.error_code,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        latency_ms: row.latency_ms,
        created_at: row.created_at,
    })
}

/// The smallest UUIDv7 of a time.
fn first_id(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or(0);
    Uuid::from_u128(milliseconds << 80)
}
