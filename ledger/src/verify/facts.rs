//! What a row of usage says beside money, read from the events independently of the projector: the auditor's own reading.

use chrono::{DateTime, Utc};
use schemas::books::{Books, Hold, Slots};
use schemas::event::{Event, Payload, ReleaseReason, UsageSource, UsageStatus};
use schemas::money::Picodollars;
use schemas::rate::{Usage, rate};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A request's facts, so far. Those of the usage count before those of the authorization, those before the release's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Facts {
    livemode: bool,
    /// When the event of its authorization was recorded.
    pub(super) authorized_time: Option<DateTime<Utc>>,
    /// Of the last event that told something.
    pub(super) position: u64,
    api_key_id: Option<Uuid>,
    model_id: Option<String>,
    served_model_id: Option<String>,
    provider: Option<String>,
    upstream: Option<String>,
    request_type: Option<String>,
    streamed: Option<bool>,
    price_version: Option<u32>,
    usage: Usage,
    cost_usd: Picodollars,
    usage_source: Option<String>,
    provider_request_id: Option<String>,
    latency_ms: Option<u64>,
    ttft_ms: Option<u64>,
    status: Option<String>,
    error_message: Option<String>,
    error_code: Option<String>,
    finished_at: Option<DateTime<Utc>>,
    /// Its row was found to differ: once is enough.
    pub(super) told: bool,
}

/// A row of `read_models.requests`, as it is or as it should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct UsageRow {
    pub(super) created_at: Option<DateTime<Utc>>,
    pub(super) account_id: Uuid,
    pub(super) livemode: bool,
    pub(super) hold: Option<i64>,
    pub(super) hold_counts: Option<bool>,
    pub(super) rated: Option<i64>,
    pub(super) ending: Option<String>,
    pub(super) charged: Option<i64>,
    pub(super) ended: bool,
    pub(super) api_key_id: Option<Uuid>,
    pub(super) model_id: Option<String>,
    pub(super) served_model_id: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) request_type: Option<String>,
    pub(super) streamed: Option<bool>,
    pub(super) price_version: Option<i64>,
    pub(super) input_tokens: i64,
    pub(super) cached_tokens: i64,
    pub(super) cache_write_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) reasoning_tokens: i64,
    pub(super) images: i64,
    pub(super) searches: i64,
    pub(super) cost_usd: i64,
    pub(super) usage_source: Option<String>,
    pub(super) provider_request_id: Option<String>,
    pub(super) latency_ms: Option<i64>,
    pub(super) ttft_ms: Option<i64>,
    pub(super) status: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) position: i64,
}

impl Facts {
    /// One more event of the request, which moved its slots from `before` to `after`. Where it moved nothing it tells nothing.
    /// Without books only what the ledger's own row needs.
    pub(super) fn learn(
        &mut self,
        position: u64,
        recorded_at: DateTime<Utc>,
        event: &Event,
        (before, after): (&Slots, &Slots),
        books: Option<&Books>,
    ) {
        if before == after {
            return;
        }
        self.position = position;
        self.livemode = event.header.livemode;
        if matches!(event.payload, Payload::RequestAuthorized(_)) {
            self.authorized_time = Some(recorded_at);
        }
        let Some(books) = books else { return };
        let is_used = before.usage.is_some();
        match &event.payload {
            Payload::RequestAuthorized(data) if !is_used => {
                self.api_key_id = data.api_key_id.map(|id| id.0);
                self.model_id = Some(text(&data.model));
                self.provider = Some(maker(&data.model));
                self.upstream = Some(text(&data.upstream));
                self.request_type = Some(data.kind.name().to_owned());
                self.streamed = Some(data.streamed);
                self.price_version = Some(data.price_version);
            }
            Payload::UsageRecorded(data) => {
                let prices = books.prices.get(&data.price_version);
                let rating = prices.and_then(|prices| rate(&prices.book, &data.model, &data.usage).ok());
                self.cost_usd = rating.map_or(Picodollars::ZERO, |rating| rating.cost_usd);
                self.api_key_id = data.api_key_id.map(|id| id.0);
                self.model_id = Some(text(&data.model));
                self.served_model_id = data.served_model.as_deref().map(text);
                self.provider = Some(text(&data.provider));
                self.upstream = Some(text(&data.upstream));
                self.request_type = Some(data.kind.name().to_owned());
                self.streamed = Some(data.streamed);
                self.price_version = Some(data.price_version);
                self.usage = data.usage;
                let source = match data.source {
                    UsageSource::Provider => "provider",
                    UsageSource::Estimated => "estimated",
                };
                self.usage_source = Some(source.to_owned());
                self.provider_request_id = data.provider_request_id.as_deref().map(text);
                self.latency_ms = Some(data.latency_ms);
                self.ttft_ms = data.ttft_ms;
                self.status = Some(data.status.name().to_owned());
                self.error_message = data.error.as_ref().map(|error| text(&error.message));
                self.error_code = data.error.as_ref().map(|error| error.code.name().to_owned());
            }
            Payload::AuthorizationReleased(data) if !is_used => {
                self.latency_ms = Some(data.latency_ms);
                let left = data.reason == ReleaseReason::ClientGone;
                let status = if left { UsageStatus::Cancelled } else { UsageStatus::Error };
                self.status = Some(status.name().to_owned());
                self.error_message = Some(text(&data.error_message));
                self.error_code = Some(data.reason.name().to_owned());
                if before.authorization.is_none() {
                    self.api_key_id = data.api_key_id.map(|id| id.0);
                    self.model_id = Some(text(&data.model));
                    self.provider = Some(maker(&data.model));
                    self.request_type = Some(data.kind.name().to_owned());
                    self.streamed = Some(data.streamed);
                }
            }
            Payload::AuthorizationExpired(_) if !is_used => {
                self.status = Some(UsageStatus::Error.name().to_owned());
                self.error_message = Some("its gateway fell silent and was fenced; nothing was charged".to_owned());
                self.error_code = Some("gateway_silent".to_owned());
            }
            _ => {}
        }
        if before.ending != after.ending {
            self.finished_at = Some(microseconds(event.header.time));
        }
    }

    /// The row that the read models should have.
    pub(super) fn row(&self, hold: &Hold) -> UsageRow {
        let slots = &hold.slots;
        // Counts that no column holds are no event that could be projected: they differ from whatever is there.
        let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        UsageRow {
            created_at: time_of(hold.request_id.0),
            account_id: hold.account_id.0,
            livemode: self.livemode,
            hold: slots.authorization.map(|slot| slot.hold.get()),
            hold_counts: slots.authorization.map(|slot| slot.counts),
            rated: slots.usage.map(|rated| rated.get()),
            ending: slots.ending.map(|ending| crate::append::ending_name(ending).to_owned()),
            charged: slots.charged.map(|charged| charged.get()),
            ended: slots.has_ended(),
            api_key_id: self.api_key_id,
            model_id: self.model_id.clone(),
            served_model_id: self.served_model_id.clone(),
            provider: self.provider.clone(),
            upstream: self.upstream.clone(),
            request_type: self.request_type.clone(),
            streamed: self.streamed,
            price_version: self.price_version.map(i64::from),
            input_tokens: count(self.usage.input_tokens),
            cached_tokens: count(self.usage.cached_tokens),
            cache_write_tokens: count(self.usage.cache_write_tokens),
            output_tokens: count(self.usage.output_tokens),
            reasoning_tokens: count(self.usage.reasoning_tokens),
            images: count(self.usage.images),
            searches: count(self.usage.searches),
            cost_usd: self.cost_usd.get(),
            usage_source: self.usage_source.clone(),
            provider_request_id: self.provider_request_id.clone(),
            latency_ms: self.latency_ms.map(count),
            ttft_ms: self.ttft_ms.map(count),
            status: self.status.clone(),
            error_message: self.error_message.clone(),
            error_code: self.error_code.clone(),
            finished_at: self.finished_at,
            position: count(self.position),
        }
    }
}

impl UsageRow {
    /// The columns that differ, with both values.
    pub(super) fn differences(&self, found: &Self) -> String {
        let (Ok(serde_json::Value::Object(should)), Ok(is)) = (serde_json::to_value(self), serde_json::to_value(found))
        else {
            return "the rows cannot be shown".to_owned();
        };
        let differing = should.iter().filter(|(column, value)| is.get(column.as_str()) != Some(*value));
        let shown = differing.map(|(column, value)| {
            format!("{column}: the events say {value}, the table says {}", is.get(column.as_str()).unwrap_or(value))
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}

/// As PostgreSQL keeps times.
pub(super) fn microseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// The time inside a UUIDv7, to the millisecond; none in another id.
pub(super) fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

/// PostgreSQL's text holds every character but NUL.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Ids of models begin with who made them.
fn maker(model: &str) -> String {
    text(model.split_once('/').map_or("", |(maker, _)| maker))
}
