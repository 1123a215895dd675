use std::collections::HashSet;

use schemas::api_key::KeyHash;
use schemas::event::{Event, Payload};
use schemas::ids::{AccountId, ApiKeyId, EmitterId, RequestId};
use schemas::key_limits::KeyPeriod;
use schemas::subject::StreamSubject;

use super::message::StreamMessage;

/// What a batch is about to look at, so that it can be loaded in a few statements before the rules run.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Touched {
    pub accounts: HashSet<AccountId>,
    pub leases: HashSet<(EmitterId, AccountId)>,
    pub holds: HashSet<RequestId>,
    pub emitters: HashSet<EmitterId>,
    /// All leases of these lives.
    pub whole_lives: HashSet<EmitterId>,
    pub keys: HashSet<ApiKeyId>,
    pub key_hashes: HashSet<KeyHash>,
    /// What keys with a cap spent in some periods.
    pub periods: HashSet<KeyPeriod>,
    /// Requests of keys, which may be counted below a cap.
    pub capped: Vec<(ApiKeyId, RequestId)>,
    /// Keys of which is asked what they spend in the period that is now.
    pub this_period: HashSet<ApiKeyId>,
    pub references: HashSet<(AccountId, String)>,
    /// Accounts by the reference under which they were opened.
    pub opened_as: HashSet<String>,
    /// Entries of the quarantine.
    pub quarantined: HashSet<u64>,
}

impl Touched {
    /// What applying an event of a gateway looks at.
    pub fn by_event(&mut self, event: &Event) {
        let header = &event.header;
        self.emitters.insert(header.emitter);
        if let Some(account) = header.account_id {
            self.accounts.insert(account);
            match event.payload {
                Payload::RequestAuthorized(_) | Payload::LeaseReturned(_) => {
                    self.leases.insert((header.emitter, account));
                }
                _ => {}
            }
        }
        self.holds.extend(header.request_id);
        let api_key_id = match &event.payload {
            Payload::RequestAuthorized(data) => data.api_key_id,
            Payload::UsageRecorded(data) => data.api_key_id,
            _ => None,
        };
        if let Some((api_key_id, request_id)) = api_key_id.zip(header.request_id) {
            self.keys.insert(api_key_id);
            self.capped.push((api_key_id, request_id));
        }
    }

    /// What reading the closing of a gate looks at: with the last one the whole life is taken back.
    pub fn by_gate(&mut self, message: &StreamMessage) {
        if message.payload.as_ref() == crate::life::CLOSED
            && let StreamSubject::Gate { emitter, .. } = StreamSubject::parse(&message.subject)
        {
            self.whole_lives.insert(emitter);
        }
    }
}
