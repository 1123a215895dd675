use std::fmt::Write;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use schemas::event::{Event, Payload, UsageRecorded};
use schemas::ids::{ApiKeyId, RequestId};
use schemas::money::{MoneyError, Nanocredits};
use serde::Serialize;

use super::read::{Beginning, Logged};

/// What an account has, credits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Standing {
    /// Posted: bought and not charged.
    pub(super) balance: Nanocredits,
    /// Set aside for requests that run.
    pub(super) held: Nanocredits,
    /// Can still be spent.
    pub(super) available: Nanocredits,
}

/// What happened, in the words of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Nothing yet: what there is as the feed begins.
    Standing,
    /// The account was opened.
    Opening,
    /// Credits were added.
    TopUp,
    /// Credits were given or taken as a correction.
    Adjustment,
    /// Credits were set aside for a request.
    Hold,
    /// A request was used up: its tokens are known.
    Usage,
    /// A request was charged, and the rest of its hold given back.
    Charge,
    /// A hold was given back; nothing was charged.
    Release,
    /// A hold was ended by the ledger.
    Expiry,
}

/// The data of an event of the feed; amounts are credits in decimal strings.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    r#type: Kind,
    /// The ledger's position; also the event's `id`.
    position: i64,
    /// When the ledger recorded it.
    time: String,
    request_id: Option<RequestId>,
    /// The model that was asked.
    model: Option<String>,
    api_key_id: Option<ApiKeyId>,
    /// What moved with this event; it may be nothing.
    change: Standing,
    /// What the account has after it.
    #[serde(flatten)]
    after: Standing,
    /// Of a usage.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Used>,
}

/// What a request used.
#[derive(Debug, Serialize, JsonSchema)]
struct Used {
    /// `success`, `error` or `cancelled`.
    status: &'static str,
    /// Cached ones among them.
    input_tokens: u64,
    cached_tokens: u64,
    cache_write_tokens: u64,
    /// Reasoning among them.
    output_tokens: u64,
    reasoning_tokens: u64,
    images: u64,
    /// What it is worth; never more than the hold is charged.
    credits: Nanocredits,
}

impl Standing {
    fn minus(self, before: Self) -> Result<Self, MoneyError> {
        Ok(Self {
            balance: self.balance.minus(before.balance)?,
            held: self.held.minus(before.held)?,
            available: self.available.minus(before.available)?,
        })
    }
}

impl Told {
    /// What there is where the feed begins.
    pub(super) fn beginning(beginning: &Beginning) -> Self {
        Self::new(Kind::Standing, beginning.position, beginning.recorded_at, Standing::default(), beginning.standing)
    }

    fn new(kind: Kind, position: i64, time: DateTime<Utc>, change: Standing, after: Standing) -> Self {
        let time = time.to_rfc3339_opts(SecondsFormat::Micros, true);
        let (request_id, model, api_key_id, usage) = (None, None, None, None);
        Self { r#type: kind, position, time, request_id, model, api_key_id, change, after, usage }
    }

    /// The next event, if it is one that is told; what was there before it is the change's other end, and what is there after
    /// it takes its place.
    pub(super) fn next(logged: &Logged, standing: &mut Standing) -> anyhow::Result<Option<Self>> {
        let before = *standing;
        let after = logged.after.unwrap_or(before);
        *standing = after;
        let event = Event::decode(&logged.bytes)?;
        let Some(kind) = kind(&event.payload) else { return Ok(None) };
        let about = logged.about.as_deref().map(Event::decode).transpose()?;
        let mut told = Self::new(kind, logged.position, logged.recorded_at, after.minus(before)?, after);
        told.request_id = event.header.request_id;
        told.is_of(about.as_ref().map_or(&event.payload, |about| &about.payload));
        if let Payload::UsageRecorded(data) = &event.payload {
            told.usage = Some(Used::of(data));
        }
        Ok(Some(told))
    }

    fn is_of(&mut self, payload: &Payload) {
        let (model, key) = match payload {
            Payload::RequestAuthorized(data) => (&data.model, data.api_key_id),
            Payload::UsageRecorded(data) => (&data.model, data.api_key_id),
            Payload::AuthorizationReleased(data) => (&data.model, data.api_key_id),
            _ => return,
        };
        (self.model, self.api_key_id) = (Some(model.clone()), key);
    }

    /// Adds it to what is sent, as one server-sent event.
    pub(super) fn write(&self, out: &mut String) -> serde_json::Result<()> {
        let data = serde_json::to_string(self)?;
        // Writing to a String cannot fail.
        let _ = write!(out, "id: {}\ndata: {data}\n\n", self.position);
        Ok(())
    }
}

fn kind(payload: &Payload) -> Option<Kind> {
    Some(match payload {
        Payload::AccountOpened(_) => Kind::Opening,
        Payload::CreditsAdded(_) => Kind::TopUp,
        Payload::CreditsAdjusted(_) => Kind::Adjustment,
        Payload::RequestAuthorized(_) => Kind::Hold,
        Payload::UsageRecorded(_) => Kind::Usage,
        Payload::CreditsDeducted(_) => Kind::Charge,
        Payload::AuthorizationReleased(_) => Kind::Release,
        Payload::AuthorizationExpired(_) => Kind::Expiry,
        _ => return None,
    })
}

impl Used {
    fn of(data: &UsageRecorded) -> Self {
        let usage = &data.usage;
        Self {
            status: data.status.name(),
            input_tokens: usage.input_tokens,
            cached_tokens: usage.cached_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            images: usage.images,
            credits: data.charge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_add_up_to_what_is_there_and_an_event_is_one_line() {
        let one = Nanocredits::new(1_000_000_000);
        let logged = |bytes: &[u8], after| Logged {
            position: 7,
            recorded_at: "2026-11-25T12:00:00Z".parse().unwrap(),
            bytes: bytes.to_vec(),
            about: None,
            after,
        };
        let bytes = br#"{"specversion":"1.0","id":"0190b2a4-0000-7000-8000-000000000001","source":"ledger","type":"CreditsAdded",
            "version":1,"account_id":"0190b2a4-0000-7000-8000-000000000002","emitter":"0190b2a4-0000-7000-8000-000000000003",
            "seq":1,"time":"2026-11-25T12:00:00.000000Z","livemode":true,"datacontenttype":"application/json",
            "data":{"amount":"1","reference":"r","by":"b","why":"w"}}"#;
        let mut standing = Standing { balance: one, held: Nanocredits::ZERO, available: one };
        let two = one.plus(one).unwrap();
        let after = Standing { balance: two, held: Nanocredits::ZERO, available: two };
        let told = Told::next(&logged(bytes, Some(after)), &mut standing).unwrap().unwrap();
        assert_eq!((told.r#type, told.change.balance, standing), (Kind::TopUp, one, after));
        // What moved nothing leaves all as it was.
        let told = Told::next(&logged(bytes, None), &mut standing).unwrap().unwrap();
        assert_eq!((told.change, told.after), (Standing::default(), after));
        let mut out = String::new();
        told.write(&mut out).unwrap();
        assert!(
            out.starts_with("id: 7\ndata: {\"type\":\"top_up\",\"position\":7,") && out.ends_with("}\n\n"),
            "{out}"
        );
        assert_eq!(out.lines().count(), 3, "{out}");
        assert!(!out.contains("\"w\"") && out.contains("\"balance\":\"2\""), "{out}");
        assert!(Told::next(&logged(b"{}", None), &mut standing).is_err());
    }
}
