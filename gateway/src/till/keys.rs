//! API keys: known for a minute, refused for ever.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::future::Cache;
use parking_lot::RwLock;
use schemas::api_key::{KeyHash, Secret};
use schemas::ids::AccountId;
use schemas::key_limits::Restrictions;
use schemas::message::{KeyRecord, LookUpKey, RefusalCode, command_name};
use schemas::tier::Tier;
use tokio::sync::Semaphore;

use super::caller::{Caller, NotAuthenticated};
use super::shared::Shared;

const MOST_KEYS: u64 = 100_000;
const KNOWN_FOR: Duration = Duration::from_secs(60);
/// Longer than any record that was looked up before the change is known.
const TIER_KNOWN_FOR: Duration = Duration::from_secs(120);
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);
/// So that guessed keys do not keep the ledger from its work.
const LOOK_UPS_AT_A_TIME: usize = 64;

/// What this gateway knows of keys.
pub(super) struct Keys {
    known: Cache<KeyHash, Known>,
    /// By notice; the ledger's records say the same once they are looked up anew.
    tiers: moka::sync::Cache<AccountId, (Tier, Unbroken)>,
    /// Looked at at each use, so that a look-up that returns late overrides nothing.
    refused: RwLock<HashSet<KeyHash>>,
    look_ups: Semaphore,
}

/// What the ledger said, and since when no broadcast can have been missed.
#[derive(Clone)]
struct Known {
    record: Arc<KeyRecord>,
    /// Taken out of the record: each request gets them.
    restrictions: Arc<Restrictions>,
    unbroken: Unbroken,
}

/// So long it is the same, no broadcast was missed.
type Unbroken = (u64, u64);

impl Default for Keys {
    fn default() -> Self {
        Self {
            known: Cache::builder().max_capacity(MOST_KEYS).time_to_live(KNOWN_FOR).build(),
            tiers: moka::sync::Cache::builder().max_capacity(MOST_KEYS).time_to_live(TIER_KNOWN_FOR).build(),
            refused: RwLock::default(),
            look_ups: Semaphore::new(LOOK_UPS_AT_A_TIME),
        }
    }
}

impl Keys {
    /// Whose key this is, and whether it may be used at this time.
    pub(super) async fn authenticate(
        &self,
        shared: &Shared,
        secret: &str,
        now: DateTime<Utc>,
    ) -> Result<Caller, NotAuthenticated> {
        let hash = Secret::parse(secret).ok_or(NotAuthenticated::Malformed)?.hash();
        self.authenticate_hash(shared, hash, now).await
    }

    /// The same by the key's hash.
    pub(super) async fn authenticate_hash(
        &self,
        shared: &Shared,
        hash: KeyHash,
        now: DateTime<Utc>,
    ) -> Result<Caller, NotAuthenticated> {
        let known = self.record(shared, hash).await?;
        self.judge(shared, hash, known, now)
    }

    /// The same by what is known already.
    pub(super) async fn authenticate_known(&self, shared: &Shared, secret: &str, now: DateTime<Utc>) -> Option<Caller> {
        let hash = Secret::parse(secret)?.hash();
        let known = self.known.get(&hash).await.filter(|known| known.unbroken == shared.bus.unbroken())?;
        self.judge(shared, hash, known, now).ok()
    }

    fn judge(
        &self,
        shared: &Shared,
        hash: KeyHash,
        known: Known,
        now: DateTime<Utc>,
    ) -> Result<Caller, NotAuthenticated> {
        let record = &known.record;
        // After the look-up: a revocation that came meanwhile counts.
        if record.revoked || self.refused.read().contains(&hash) {
            return Err(NotAuthenticated::Revoked);
        }
        if record.expires_at.is_some_and(|at| at <= now) {
            return Err(NotAuthenticated::Expired);
        }
        Ok(Caller {
            api_key_id: Some(record.api_key_id),
            account_id: record.account_id,
            livemode: record.livemode,
            tier: self.tier(shared, record.account_id).unwrap_or(record.tier),
            restrictions: known.restrictions,
        })
    }

    /// Refused from now on.
    pub(super) fn revoke(&self, hash: KeyHash) {
        self.refused.write().insert(hash);
    }

    /// The account's plan changed.
    pub(super) fn tier_changed(&self, shared: &Shared, account_id: AccountId, tier: Tier) {
        self.tiers.insert(account_id, (tier, shared.bus.unbroken()));
    }

    fn tier(&self, shared: &Shared, account_id: AccountId) -> Option<Tier> {
        let (tier, unbroken) = self.tiers.get(&account_id)?;
        (unbroken == shared.bus.unbroken()).then_some(tier)
    }

    async fn record(&self, shared: &Shared, hash: KeyHash) -> Result<Known, NotAuthenticated> {
        // What was looked up before the connection broke is not believed: a revocation may have been missed.
        for _ in 0..2 {
            let known = self.known.try_get_with(hash, self.look_up(shared, hash)).await.map_err(|error| *error)?;
            if known.unbroken == shared.bus.unbroken() {
                return Ok(known);
            }
            self.known.invalidate(&hash).await;
        }
        Err(NotAuthenticated::Unavailable)
    }

    async fn look_up(&self, shared: &Shared, key_hash: KeyHash) -> Result<Known, NotAuthenticated> {
        let unbroken = shared.bus.unbroken();
        let _place = self.look_ups.acquire().await.map_err(|_| NotAuthenticated::Unavailable)?;
        let subject = shared.cell.command(command_name::LOOK_UP_KEY);
        let answer = shared.bus.ask::<KeyRecord>(subject, &LookUpKey { key_hash }, ANSWERED_WITHIN).await;
        match answer {
            Ok(Ok(mut record)) => {
                let restrictions = Arc::new(std::mem::take(&mut record.restrictions));
                Ok(Known { record: Arc::new(record), restrictions, unbroken })
            }
            Ok(Err(refusal)) if refusal.code == RefusalCode::UnknownKey => Err(NotAuthenticated::Unknown),
            Ok(Err(refusal)) => {
                tracing::warn!(code = ?refusal.code, %refusal, "a key cannot be looked up");
                Err(NotAuthenticated::Unavailable)
            }
            Err(silence) => {
                tracing::warn!(%silence, "a key cannot be looked up");
                Err(NotAuthenticated::Unavailable)
            }
        }
    }
}
