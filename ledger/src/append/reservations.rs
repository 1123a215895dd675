use std::collections::HashMap;

use schemas::ids::{ApiKeyId, EmitterId, RequestId};
use schemas::money::{MoneyError, Nanocredits};

/// Room below keys' caps that was promised to requests whose authorization was not read yet. There are few: one for each
/// request that is between the ledger's word and its authorization.
#[derive(Clone, Debug, Default)]
pub struct Reservations {
    by_request: HashMap<RequestId, Reservation>,
    /// The last question of each life about each key that was answered.
    answered: HashMap<(EmitterId, ApiKeyId), u64>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Of which key.
    pub api_key_id: ApiKeyId,
    /// Whom it was promised to.
    pub gateway: EmitterId,
    /// Credits.
    pub amount: Nanocredits,
}

impl Reservations {
    /// Of a request.
    pub fn get(&self, request_id: RequestId) -> Option<&Reservation> {
        self.by_request.get(&request_id)
    }

    /// Promised; also what is loaded.
    pub fn insert(&mut self, request_id: RequestId, reservation: Reservation) {
        self.by_request.insert(request_id, reservation);
    }

    /// No longer promised, if it was.
    pub fn remove(&mut self, request_id: RequestId) -> Option<Reservation> {
        self.by_request.remove(&request_id)
    }

    /// All that were promised to a life.
    pub fn of_life(&self, gateway: EmitterId) -> Vec<RequestId> {
        let of_it = self.by_request.iter().filter(|(_, reservation)| reservation.gateway == gateway);
        of_it.map(|(request_id, _)| *request_id).collect()
    }

    /// Promised of a key in all, credits.
    pub fn of_key(&self, api_key_id: ApiKeyId) -> Result<Nanocredits, MoneyError> {
        let of_it = self.by_request.values().filter(|reservation| reservation.api_key_id == api_key_id);
        of_it.map(|reservation| reservation.amount).try_fold(Nanocredits::ZERO, Nanocredits::plus)
    }

    /// Whether a question is newer than those that were answered; then it counts as answered.
    pub fn is_news(&mut self, gateway: EmitterId, api_key_id: ApiKeyId, seq: u64) -> bool {
        let last = self.answered.entry((gateway, api_key_id)).or_default();
        let news = seq > *last;
        *last = seq.max(*last);
        news
    }

    /// A life is over.
    pub fn forget_life(&mut self, gateway: EmitterId) {
        self.answered.retain(|(life, _), _| *life != gateway);
    }
}
