use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id!(
    /// Who pays. UUIDv7.
    AccountId
);
id!(
    /// One request of a client, and its `x-request-id`. UUIDv7, so it carries the time of its start.
    RequestId
);
id!(
    /// An API key's own id (never its secret). UUIDv7.
    ApiKeyId
);
id!(
    /// One life of one process: fresh at each start, and whenever a gateway is fenced. UUIDv7.
    EmitterId
);
id!(
    /// One event. An event that is sent again is the same bytes, so it has the same id.
    EventId
);

impl RequestId {
    /// The time that it carries, to the millisecond; the beginning of 1970 for an id that carries none.
    pub fn time(self) -> DateTime<Utc> {
        let stamp = if self.0.get_version_num() == 7 { self.0.get_timestamp() } else { None };
        let (seconds, nanoseconds) = stamp.map_or((0, 0), |stamp| stamp.to_unix());
        DateTime::from_timestamp(i64::try_from(seconds).unwrap_or_default(), nanoseconds).unwrap_or_default()
    }
}
