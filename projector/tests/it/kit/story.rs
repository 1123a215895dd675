//! Events as gateways and the ledger say them, in the order in which a test tells them.

use chrono::{DateTime, TimeDelta, Utc};
use schemas::api_key::{KeyHash, Secret};
use schemas::event::*;
use schemas::ids::{AccountId, ApiKeyId, EmitterId, EventId, RequestId};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use schemas::tier::Tier;
use uuid::{NoContext, Timestamp, Uuid};

/// $3 and $15 a million: 2,000 in and 1,000 out are 3.36 credits.
pub(crate) const SONNET: &str = "anthropic/claude-sonnet-4.5";

/// Whole credits.
pub(crate) fn credits(credits: i64) -> Nanocredits {
    Nanocredits::from_credits(credits).unwrap()
}

/// A log in the making.
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    pub(crate) ledger: EmitterId,
    pub(crate) gateway: EmitterId,
    book: PriceBook,
    /// The time that events say, a millisecond each.
    time: DateTime<Utc>,
}

impl Story {
    /// Prices are published.
    pub(crate) fn new() -> Self {
        Self::at("2026-03-15T12:00:00Z")
    }

    pub(crate) fn at(time: &str) -> Self {
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
        let mut story = Self {
            events: Vec::new(),
            ledger: EmitterId(Uuid::now_v7()),
            gateway: EmitterId(Uuid::now_v7()),
            book: book.clone(),
            time: time.parse().unwrap(),
        };
        let published = PriceBookPublished { book, by: "test".into(), why: "test".into() };
        story.ledger_says(None, None, Payload::PriceBookPublished(published.into()));
        story
    }

    /// Time passes.
    pub(crate) fn jumps_to(&mut self, time: &str) {
        self.time = time.parse().unwrap();
    }

    pub(crate) fn opens(&mut self, tier: Tier) -> AccountId {
        let account = AccountId(self.id());
        let opened = AccountOpened {
            tier,
            counterpart: AccountId(self.id()),
            reference: None,
            by: "test".into(),
            why: "test".into(),
        };
        self.ledger_says(Some(account), None, Payload::AccountOpened(opened.into()));
        account
    }

    pub(crate) fn sets_tier(&mut self, account: AccountId, tier: Tier) {
        let changed = TierChanged { tier, by: "test".into(), why: "test".into() };
        self.ledger_says(Some(account), None, Payload::TierChanged(changed.into()));
    }

    pub(crate) fn buys(&mut self, account: AccountId, amount: Nanocredits) {
        let reference = self.id().to_string();
        let added = CreditsAdded { amount, reference, by: "test".into(), why: "paid".into() };
        self.ledger_says(Some(account), None, Payload::CreditsAdded(added.into()));
    }

    /// So much in all is leased to the gateway.
    pub(crate) fn leases(&mut self, account: AccountId, granted_total: Nanocredits) {
        let granted = LeaseGranted { gateway: self.gateway, granted_total };
        self.ledger_says(Some(account), None, Payload::LeaseGranted(granted.into()));
    }

    pub(crate) fn adjusts(
        &mut self,
        account: AccountId,
        request: Option<RequestId>,
        amount: Nanocredits,
        loss: Nanocredits,
    ) {
        let reference = self.id().to_string();
        let adjusted = CreditsAdjusted { amount, loss, reference, by: "test".into(), why: "late usage".into() };
        self.ledger_says(Some(account), request, Payload::CreditsAdjusted(adjusted.into()));
    }

    pub(crate) fn issues_key(&mut self, account: AccountId) -> (ApiKeyId, KeyHash) {
        let id = ApiKeyId(self.id());
        let secret = Secret::from_random(true, &Uuid::now_v7().into_bytes().repeat(2).try_into().unwrap());
        let issued = ApiKeyIssued {
            api_key_id: id,
            key_hash: secret.hash(),
            key_prefix: secret.prefix().to_owned(),
            name: "test".into(),
            expires_at: None,
            restrictions: Default::default(),
            by: "test".into(),
            why: "test".into(),
        };
        self.ledger_says(Some(account), None, Payload::ApiKeyIssued(issued.into()));
        (id, secret.hash())
    }

    pub(crate) fn revokes_key(&mut self, account: AccountId, (api_key_id, key_hash): (ApiKeyId, KeyHash)) {
        let revoked = ApiKeyRevoked { api_key_id, key_hash, by: "test".into(), why: "test".into() };
        self.ledger_says(Some(account), None, Payload::ApiKeyRevoked(revoked.into()));
    }

    /// A request comes, now.
    pub(crate) fn request(&mut self) -> RequestId {
        RequestId(self.id())
    }

    pub(crate) fn authorizes(
        &mut self,
        account: AccountId,
        request: RequestId,
        key: Option<ApiKeyId>,
        hold: Nanocredits,
    ) {
        let authorized = RequestAuthorized {
            api_key_id: key,
            kind: RequestKind::Chat,
            model: SONNET.into(),
            fallbacks: Vec::new(),
            upstream: "live".into(),
            streamed: true,
            hold,
            bounds: Bounds::default(),
            price_version: 1,
            gate: 0,
        };
        self.gateway_says(account, request, Payload::RequestAuthorized(authorized.into()));
    }

    pub(crate) fn usage(&self, usage: Usage, status: UsageStatus) -> UsageRecorded {
        let rating = rate(&self.book, SONNET, &usage).unwrap();
        UsageRecorded {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: SONNET.into(),
            served_model: Some("claude-sonnet-4-5-20250929".into()),
            provider: "anthropic".into(),
            upstream: "live".into(),
            provider_request_id: Some("gen_1".into()),
            usage,
            source: UsageSource::Provider,
            status,
            error: None,
            latency_ms: 1_200,
            ttft_ms: Some(300),
            streamed: true,
            price_version: 1,
            cost_usd: rating.cost_usd,
            provider_cost_usd: None,
            charge: rating.charge,
            breakdown: rating.breakdown,
        }
    }

    /// Used so many tokens, in and out, and was answered.
    pub(crate) fn uses(&mut self, account: AccountId, request: RequestId, input_tokens: u64, output_tokens: u64) {
        let usage = self.usage(Usage { input_tokens, output_tokens, ..Usage::default() }, UsageStatus::Success);
        self.gateway_says(account, request, Payload::UsageRecorded(usage.into()));
    }

    pub(crate) fn deducts(&mut self, account: AccountId, request: RequestId, amount: Nanocredits) {
        self.gateway_says(account, request, Payload::CreditsDeducted(CreditsDeducted { amount }.into()));
    }

    pub(crate) fn releases(&mut self, account: AccountId, request: RequestId, reason: ReleaseReason) {
        let released = AuthorizationReleased {
            reason,
            never_came: None,
            api_key_id: None,
            kind: RequestKind::Chat,
            model: SONNET.into(),
            streamed: true,
            error_message: "the provider answered 500".into(),
            latency_ms: 90,
        };
        self.gateway_says(account, request, Payload::AuthorizationReleased(released.into()));
    }

    pub(crate) fn expires(&mut self, account: AccountId, request: RequestId) {
        let expired = AuthorizationExpired { reason: ExpiryReason::GatewayFenced };
        self.ledger_says(Some(account), Some(request), Payload::AuthorizationExpired(expired.into()));
    }

    pub(crate) fn fences(&mut self, gateway: EmitterId) {
        let fenced = GatewayFenced { gateway, missing: Vec::new() };
        self.ledger_says(None, None, Payload::GatewayFenced(fenced.into()));
    }

    /// A request that is authorized, used and paid for, as almost all are.
    pub(crate) fn pays(&mut self, account: AccountId, key: Option<ApiKeyId>) -> RequestId {
        let request = self.request();
        self.authorizes(account, request, key, credits(5));
        let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
        let usage = UsageRecorded { api_key_id: key, ..self.usage(usage, UsageStatus::Success) };
        self.gateway_says(account, request, Payload::UsageRecorded(usage.into()));
        self.deducts(account, request, "3.36".parse().unwrap());
        request
    }

    pub(crate) fn gateway_says(&mut self, account: AccountId, request: RequestId, payload: Payload) {
        self.says(self.gateway, Some(account), Some(request), payload);
    }

    pub(crate) fn ledger_says(&mut self, account: Option<AccountId>, request: Option<RequestId>, payload: Payload) {
        self.says(self.ledger, account, request, payload);
    }

    pub(crate) fn says(
        &mut self,
        emitter: EmitterId,
        account_id: Option<AccountId>,
        request_id: Option<RequestId>,
        payload: Payload,
    ) {
        self.time += TimeDelta::milliseconds(1);
        let header = Header {
            id: EventId(Uuid::now_v7()),
            account_id,
            request_id,
            emitter,
            seq: self.events.len() as u64 + 1,
            time: self.time,
            livemode: true,
        };
        self.events.push(Event { header, payload });
    }

    fn id(&mut self) -> Uuid {
        let (seconds, nanoseconds) = (self.time.timestamp() as u64, self.time.timestamp_subsec_nanos());
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanoseconds))
    }
}
