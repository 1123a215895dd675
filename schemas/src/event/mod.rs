//! One JSON object an event, with the attributes of CloudEvents 1.0 in its envelope. The bytes published are the bytes
//! stored and hashed; nothing ever writes an event anew.
//!
//! A type has versions. All that were ever published are read: an old one is lifted to the newest form when it is decoded,
//! by a pure function (its upcaster), and its bytes stay as they are. Only the newest is written.

mod account;
mod lease;
mod quarantine;
mod request;
mod usage_recorded_v1;

pub use account::{
    AccountOpened, ApiKeyIssued, ApiKeyRevoked, CreditsAdded, CreditsAdjusted, PriceBookPublished, TierChanged,
};
use chrono::{DateTime, SecondsFormat, Utc};
pub use lease::{GatewayFenced, LeaseGranted, LeaseReturned};
pub use quarantine::{QuarantineDismissed, QuarantineReplayed};
pub use request::{
    AuthorizationExpired, AuthorizationReleased, CreditsDeducted, ExpiryReason, ReleaseReason, RequestAuthorized,
    RequestKind, UsageError, UsageErrorCode, UsageRecorded, UsageSource, UsageStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::usage_recorded_v1::UsageRecordedV1;
use crate::ids::{AccountId, EmitterId, EventId, RequestId};

/// Names each type; where it has older versions, the newest one's number and what the data of each older one was:
/// `Name: 2 { 1: NameV1 }`, with `impl From<NameV1> for Name`.
macro_rules! events {
    (@version) => { 1 };
    (@version $version:literal) => { $version };
    ($($name:ident $(: $version:literal { $($old:literal: $old_data:ty),+ $(,)? })?),* $(,)?) => {
        /// The data of an event, by type.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs)]
        pub enum Payload {
            $($name(Box<$name>)),*
        }

        /// Every type of event, in the order in which they are described.
        pub const EVENT_TYPES: &[&str] = &[$(stringify!($name)),*];

        impl Payload {
            /// Reads the data of a type and version; an older version is lifted to the newest form.
            pub fn decode(event_type: &str, version: u32, data: &str) -> Result<Self, DecodeError> {
                match (event_type, version) {
                    $(
                        (stringify!($name), <$name as EventData>::VERSION) => {
                            Ok(Self::$name(Box::new(serde_json::from_str(data)?)))
                        }
                        $($((stringify!($name), $old) => {
                            Ok(Self::$name(Box::new(serde_json::from_str::<$old_data>(data)?.into())))
                        })+)?
                    )*
                    (known, _) if EVENT_TYPES.contains(&known) => {
                        Err(DecodeError::UnknownVersion(event_type.to_owned(), version))
                    }
                    _ => Err(DecodeError::UnknownType(event_type.to_owned())),
                }
            }

            /// The type's name.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name)),* }
            }

            /// The version in which it is written.
            pub fn version(&self) -> u32 {
                match self { $(Self::$name(_) => <$name as EventData>::VERSION),* }
            }

            fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
                match self { $(Self::$name(data) => serde_json::to_vec(data)),* }
            }
        }

        $(impl EventData for $name {
            const TYPE: &'static str = stringify!($name);
            const VERSION: u32 = events!(@version $($version)?);
        })*

        /// Each version of each type that was ever published, and the JSON Schema of such an event as a whole.
        pub fn json_schemas() -> Vec<EventSchema> {
            vec![$(
                $($(EventSchema::of::<$old_data>(stringify!($name), $old),)+)?
                EventSchema::of::<$name>(stringify!($name), <$name as EventData>::VERSION),
            )*]
        }
    };
}

events!(
    RequestAuthorized,
    UsageRecorded: 2 { 1: UsageRecordedV1 },
    CreditsDeducted,
    AuthorizationReleased,
    AuthorizationExpired,
    LeaseGranted,
    LeaseReturned,
    GatewayFenced,
    AccountOpened,
    TierChanged,
    ApiKeyIssued,
    ApiKeyRevoked,
    CreditsAdded,
    CreditsAdjusted,
    PriceBookPublished,
    QuarantineReplayed,
    QuarantineDismissed,
);

/// The types that gateways say, and so the stream carries; all others are the ledger's own, and only in its log.
pub const FROM_GATEWAYS: &[&str] = &[
    RequestAuthorized::TYPE,
    UsageRecorded::TYPE,
    CreditsDeducted::TYPE,
    AuthorizationReleased::TYPE,
    LeaseReturned::TYPE,
];

/// The data of one type of event.
pub trait EventData: Serialize + JsonSchema {
    /// The type's name in the envelope.
    const TYPE: &'static str;
    /// The version that is written today.
    const VERSION: u32;
}

/// Who says it, about whom; everything of an envelope but the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of this event.
    pub id: EventId,
    /// Whose books it changes; absent where it is about no single account.
    pub account_id: Option<AccountId>,
    /// The request that it belongs to.
    pub request_id: Option<RequestId>,
    /// The life that says it.
    pub emitter: EmitterId,
    /// That life's own counter, from 1.
    pub seq: u64,
    /// For people, never for order.
    pub time: DateTime<Utc>,
    /// False for a sandbox account.
    pub livemode: bool,
}

/// A whole event as it travels: CloudEvents attributes, ours, and the data.
#[derive(Serialize, JsonSchema)]
struct Envelope<'a, T> {
    /// CloudEvents: always `1.0`.
    specversion: &'static str,
    id: EventId,
    /// CloudEvents: which kind of program says it.
    source: &'static str,
    r#type: &'static str,
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<AccountId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    emitter: EmitterId,
    seq: u64,
    /// RFC 3339, microseconds, UTC.
    time: String,
    livemode: bool,
    /// CloudEvents: always `application/json`.
    datacontenttype: &'static str,
    data: &'a T,
}

/// Which program says an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An edge.
    Gateway,
    /// The source of truth itself.
    Ledger,
}

impl Source {
    fn uri(self) -> &'static str {
        match self {
            Self::Gateway => "/layers/gateway",
            Self::Ledger => "/layers/ledger",
        }
    }
}

/// The bytes of an event. They are made once and never again.
pub fn encode<T: EventData>(source: Source, header: &Header, data: &T) -> Result<Vec<u8>, serde_json::Error> {
    write_envelope(source, header, T::TYPE, T::VERSION, data)
}

/// The bytes of an event whose type is known only when the program runs.
pub fn encode_payload(source: Source, header: &Header, payload: &Payload) -> Result<Vec<u8>, serde_json::Error> {
    let data = RawValue::from_string(String::from_utf8_lossy(&payload.write()?).into_owned())?;
    write_envelope(source, header, payload.type_name(), payload.version(), &data)
}

fn write_envelope<T: Serialize>(
    source: Source,
    header: &Header,
    event_type: &'static str,
    version: u32,
    data: &T,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(1024);
    let envelope = Envelope {
        specversion: "1.0",
        id: header.id,
        source: source.uri(),
        r#type: event_type,
        version,
        account_id: header.account_id,
        request_id: header.request_id,
        emitter: header.emitter,
        seq: header.seq,
        time: header.time.to_rfc3339_opts(SecondsFormat::Micros, true),
        livemode: header.livemode,
        datacontenttype: "application/json",
        data,
    };
    serde_json::to_writer(&mut bytes, &envelope)?;
    Ok(bytes)
}

/// An event as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The envelope.
    pub header: Header,
    /// The data.
    pub payload: Payload,
}

/// Why bytes are not an event that this program knows. They go to the quarantine, never into the void.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON of the right form.
    #[error("not an event: {0}")]
    Malformed(#[from] serde_json::Error),
    /// No such type.
    #[error("unknown event type '{0}'")]
    UnknownType(String),
    /// A version from the future.
    #[error("event type '{0}' has no version {1} here")]
    UnknownVersion(String, u32),
    /// Counters start at 1.
    #[error("seq must be at least 1")]
    ZeroSeq,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    id: EventId,
    #[serde(borrow)]
    r#type: &'a str,
    version: u32,
    account_id: Option<AccountId>,
    request_id: Option<RequestId>,
    emitter: EmitterId,
    seq: u64,
    time: DateTime<Utc>,
    livemode: bool,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Event {
    /// Reads the bytes of an event.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let incoming = Incoming::read(bytes)?;
        let payload = Payload::decode(incoming.r#type, incoming.version, incoming.data.get())?;
        Ok(Self { header: incoming.header(), payload })
    }
}

impl Header {
    /// Reads the envelope of an event whose type, version or data this program need not know.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Incoming::read(bytes)?.header())
    }
}

impl<'a> Incoming<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let incoming: Self = serde_json::from_slice(bytes)?;
        if incoming.seq == 0 || incoming.seq > i64::MAX as u64 {
            return Err(DecodeError::ZeroSeq);
        }
        Ok(incoming)
    }

    fn header(&self) -> Header {
        Header {
            id: self.id,
            account_id: self.account_id,
            request_id: self.request_id,
            emitter: self.emitter,
            seq: self.seq,
            time: self.time,
            livemode: self.livemode,
        }
    }
}

/// One version of one type of event.
#[derive(Debug)]
pub struct EventSchema {
    /// The type's name in the envelope.
    pub event_type: &'static str,
    /// The version in the envelope.
    pub version: u32,
    /// Of the event as a whole.
    pub schema: schemars::Schema,
}

impl EventSchema {
    /// `UsageRecorded.v2`: the name of its sample and of its JSON Schema.
    pub fn name(&self) -> String {
        format!("{}.v{}", self.event_type, self.version)
    }

    fn of<T: JsonSchema + 'static>(event_type: &'static str, version: u32) -> Self {
        let mut schema = schemars::schema_for!(Envelope<'static, T>);
        let object = schema.ensure_object();
        object.insert("title".to_owned(), event_type.into());
        if let Some(properties) = object.get_mut("properties").and_then(|value| value.as_object_mut()) {
            properties.insert("specversion".to_owned(), serde_json::json!({ "const": "1.0" }));
            properties.insert("type".to_owned(), serde_json::json!({ "const": event_type }));
            properties.insert("version".to_owned(), serde_json::json!({ "const": version }));
            properties.insert("datacontenttype".to_owned(), serde_json::json!({ "const": "application/json" }));
            properties.insert("time".to_owned(), serde_json::json!({ "type": "string", "format": "date-time" }));
        }
        Self { event_type, version, schema }
    }
}
