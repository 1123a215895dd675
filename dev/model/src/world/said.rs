use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use gateway::till::outbox::Sealed;
use schemas::event::{Event, EventData, Header, Payload, Source, encode};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use uuid::Uuid;

/// The one account.
pub const ACCOUNT: AccountId = AccountId(Uuid::from_u128(1));
/// The one time: nothing in this world depends on it.
pub(super) const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
const FIRST_LIFE: u128 = 0x100;
const FIRST_REQUEST: u128 = 0x1000;
const FIRST_LEDGER: u128 = 0x1_0000;

/// The name of a gateway's life.
pub fn emitter(life: usize) -> EmitterId {
    EmitterId(Uuid::from_u128(FIRST_LIFE + life as u128))
}

/// Which life has this name; none if it is a ledger's.
pub fn life_of(emitter: EmitterId) -> Option<usize> {
    let number = emitter.0.as_u128();
    (FIRST_LIFE..FIRST_REQUEST).contains(&number).then(|| (number - FIRST_LIFE) as usize)
}

/// The name of a request.
pub fn request_id(request: usize) -> RequestId {
    RequestId(Uuid::from_u128(FIRST_REQUEST + request as u128))
}

/// Which request has this name.
pub fn request_of(id: RequestId) -> usize {
    (id.0.as_u128() - FIRST_REQUEST) as usize
}

/// The name of a ledger process.
pub(super) fn ledger(epoch: u64) -> EmitterId {
    EmitterId(Uuid::from_u128(FIRST_LEDGER + u128::from(epoch)))
}

/// An event of a gateway: its bytes, and what they say.
#[derive(Clone)]
pub struct Said {
    /// Who says it.
    pub life: usize,
    /// Which request it is about.
    pub request: Option<usize>,
    /// As the outbox keeps it.
    pub sealed: Sealed,
    /// As the ledger reads it.
    pub event: Event,
}

impl Said {
    /// Writes the bytes as a gateway does, and reads them as the ledger does.
    pub fn new<T: EventData>(life: usize, seq: u64, request: Option<usize>, data: &T) -> Arc<Self> {
        let header = Header {
            id: EventId(Uuid::nil()),
            account_id: Some(ACCOUNT),
            request_id: request.map(request_id),
            emitter: emitter(life),
            seq,
            time: NOW,
            livemode: true,
        };
        let bytes = encode(Source::Gateway, &header, data).expect("an event is plain data");
        let event = Event::decode(&bytes).expect("what was written can be read");
        let sealed = Sealed { seq, account_id: ACCOUNT, event_type: T::TYPE, bytes: bytes.into() };
        Arc::new(Self { life, request, sealed, event })
    }

    /// It is an authorization.
    pub fn authorizes(&self) -> bool {
        matches!(self.event.payload, Payload::RequestAuthorized(_))
    }
}

impl Hash for Said {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Which event a life says under a number is told by these.
        (self.life, self.sealed.seq, self.request, self.sealed.event_type).hash(state);
    }
}

impl PartialEq for Said {
    fn eq(&self, other: &Self) -> bool {
        (self.life, &self.sealed) == (other.life, &other.sealed)
    }
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} {}", self.life, self.sealed.seq, self.sealed.event_type)?;
        self.request.map_or(Ok(()), |request| write!(f, " of request {request}"))
    }
}
