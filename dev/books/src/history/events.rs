use anyhow::Result;
use chrono::{DateTime, Utc};
use schemas::event::{
    AccountOpened, ApiKeyIssued, AuthorizationReleased, CreditsAdded, CreditsAdjusted, CreditsDeducted, Header,
    Payload, PriceBookPublished, RequestAuthorized, Source, UsageError, UsageRecorded, UsageSource, UsageStatus,
    encode_payload,
};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, EventId, RequestId};
use schemas::money::Nanocredits;
use schemas::rate::Bounds;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::usage::{Outcome, told};
use super::year::{Request, Step, What, Year};

/// Appends all events of a year to an empty log, as far as a projector looks at it.
///
/// # Errors
/// When the database fails.
pub async fn append(db: &mut PgConnection, mut year: Year) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let last = year
        .tell(async |year, step| {
            for (position, (header, payload)) in (step.position..).zip(events(year, &step)?) {
                let bytes = encode_payload(Source::Ledger, &header, &payload)?;
                sqlx::query(
                    "insert into ledger.events (position, event_id, event_type, account_id, request_id, emitter, seq, recorded_at, event)
                     values ($1, $2, $3, $4, $5, $6, $1, $7, $8)",
                )
                .bind(i64::try_from(position)?)
                .bind(header.id.0)
                .bind(payload.type_name())
                .bind(header.account_id.map(|id| id.0))
                .bind(header.request_id.map(|id| id.0))
                .bind(header.emitter.0)
                .bind(step.time)
                .bind(bytes)
                .execute(&mut *transaction)
                .await?;
            }
            Ok(())
        })
        .await?;
    sqlx::query("update ledger.head set position = $1").bind(i64::try_from(last)?).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(last)
}

fn events(year: &Year, step: &Step) -> Result<Vec<(Header, Payload)>> {
    let (by, time) = (|| "history".to_owned(), step.time);
    let of = |rank: usize, payload: Payload| -> Result<_> {
        let account = year.of(rank)?;
        Ok((header(Some(account.id), account.livemode, None, time), payload))
    };
    Ok(match &step.what {
        What::Prices(book) => {
            let published = PriceBookPublished { book: book.as_ref().clone(), by: by(), why: by() };
            vec![(header(None, true, None, time), Payload::PriceBookPublished(published.into()))]
        }
        What::SignUp(rank) => {
            let account = year.of(*rank)?;
            let opened = AccountOpened {
                tier: account.tier,
                counterpart: AccountId(account.counterpart),
                reference: None,
                by: by(),
                why: by(),
            };
            let mut said = vec![of(*rank, Payload::AccountOpened(opened.into()))?];
            for key in &account.keys {
                let issued = ApiKeyIssued {
                    api_key_id: ApiKeyId(key.id),
                    key_hash: key.hash.parse()?,
                    key_prefix: key.prefix.clone(),
                    name: key.name.clone(),
                    expires_at: None,
                    restrictions: Default::default(),
                    by: by(),
                    why: by(),
                };
                said.push(of(*rank, Payload::ApiKeyIssued(issued.into()))?);
            }
            said
        }
        What::TopUp(rank, amount) => {
            let added = CreditsAdded { amount: *amount, reference: reference(step), by: by(), why: "paid".to_owned() };
            vec![of(*rank, Payload::CreditsAdded(added.into()))?]
        }
        What::Goodwill(rank, amount) => {
            let (reference, loss) = (reference(step), Nanocredits::ZERO);
            let adjusted = CreditsAdjusted { amount: *amount, loss, reference, by: by(), why: "goodwill".to_owned() };
            vec![of(*rank, Payload::CreditsAdjusted(adjusted.into()))?]
        }
        What::Request(request) => of_request(year, request, time)?,
    })
}

/// By what a payment is known.
pub(super) fn reference(step: &Step) -> String {
    format!("history-{}", step.position)
}

fn of_request(year: &Year, request: &Request, time: DateTime<Utc>) -> Result<Vec<(Header, Payload)>> {
    let account = year.of(request.rank)?;
    let (asked, key) = (&request.asked, Some(ApiKeyId(account.keys[request.key].id)));
    let at = |time| header(Some(account.id), account.livemode, Some(request.id), time);
    let authorized = RequestAuthorized {
        api_key_id: key,
        kind: asked.kind,
        model: request.model.clone(),
        fallbacks: Vec::new(),
        upstream: "live".to_owned(),
        streamed: asked.streamed,
        hold: asked.hold,
        bounds: Bounds::default(),
        price_version: request.book.version,
        gate: 0,
    };
    let mut said = vec![(at(time), Payload::RequestAuthorized(authorized.into()))];
    match &asked.outcome {
        Outcome::Released(reason) => {
            let released = AuthorizationReleased {
                reason: *reason,
                never_came: None,
                api_key_id: key,
                kind: asked.kind,
                model: request.model.clone(),
                streamed: asked.streamed,
                error_message: reason.name().to_owned(),
                latency_ms: asked.latency_ms,
            };
            said.push((at(request.ended_at), Payload::AuthorizationReleased(released.into())));
        }
        Outcome::Used { usage, rating, status, error, ttft_ms } => {
            let whole = *status == UsageStatus::Success;
            let used = UsageRecorded {
                api_key_id: key,
                kind: asked.kind,
                model: request.model.clone(),
                served_model: Some(request.model.clone()),
                provider: maker(&request.model).to_owned(),
                upstream: "live".to_owned(),
                provider_request_id: Some(provider_request_id(request)),
                usage: *usage,
                source: if whole { UsageSource::Provider } else { UsageSource::Estimated },
                status: *status,
                error: error.map(|code| UsageError { code, message: told(code).to_owned() }),
                latency_ms: asked.latency_ms,
                ttft_ms: Some(*ttft_ms),
                streamed: asked.streamed,
                price_version: request.book.version,
                cost_usd: rating.cost_usd,
                provider_cost_usd: None,
                charge: rating.charge,
                breakdown: rating.breakdown,
            };
            let deducted = CreditsDeducted { amount: rating.charge };
            said.push((at(request.ended_at), Payload::UsageRecorded(used.into())));
            said.push((at(request.ended_at), Payload::CreditsDeducted(deducted.into())));
        }
    }
    Ok(said)
}

/// The provider's own id for its answer.
pub(super) fn provider_request_id(request: &Request) -> String {
    format!("gen_{:016x}", request.id.as_u128() as u64)
}

/// Ids of models begin with who made them.
pub(super) fn maker(model: &str) -> &str {
    model.split_once('/').map_or("", |(maker, _)| maker)
}

fn header(account: Option<Uuid>, livemode: bool, request: Option<Uuid>, time: DateTime<Utc>) -> Header {
    Header {
        id: EventId(Uuid::now_v7()),
        account_id: account.map(AccountId),
        request_id: request.map(RequestId),
        emitter: EmitterId(Uuid::nil()),
        seq: 1,
        time,
        livemode,
    }
}
