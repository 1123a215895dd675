use std::sync::Arc;

use schemas::event::{AuthorizationReleased, CreditsDeducted, ReleaseReason, RequestAuthorized, UsageRecorded};
use schemas::ids::ApiKeyId;
use schemas::money::Nanocredits;
use tokio::task::JoinHandle;

use super::deliver::{Order, deliver};
use super::hold::{SettleError, Settled};
use super::life::{GatePass, Life};
use super::outbox::Sealed;
use super::slot::Slot;
use super::to_authorize::ToAuthorize;

/// Texts of others are cut to so many bytes before they enter an event.
const LONGEST_TEXT: usize = 512;

/// A request whose hold is taken from a lease, and all that its events have to say. It ends in exactly one of three ways:
/// put back, settled, released; each takes it by value.
#[derive(Debug)]
pub(super) struct OpenRequest {
    pub(super) life: Arc<Life>,
    pub(super) slot: Arc<Slot>,
    pub(super) api_key_id: Option<ApiKeyId>,
    pub(super) request: ToAuthorize,
}

impl OpenRequest {
    /// Nothing was published: its hold is free again at once.
    pub(super) fn put_back(self) {
        let mut inner = self.slot.lock();
        self.expect(inner.account.lease.put_back(self.request.request_id));
        inner.serve();
        drop(inner);
        self.life.end_request();
    }

    /// The bytes of its authorization. From now on it may be stored.
    pub(super) fn authorization(&self, gate: u16) -> Sealed {
        let request = &self.request;
        let data = RequestAuthorized {
            api_key_id: self.api_key_id,
            kind: request.kind,
            model: request.model.clone(),
            fallbacks: request.fallbacks.clone(),
            upstream: request.upstream.clone(),
            streamed: request.streamed,
            hold: request.hold,
            bounds: request.bounds,
            price_version: request.price_version,
            gate,
        };
        self.expect(self.slot.lock().account.lease.published(request.request_id));
        self.life.write(self.slot.account_id, self.slot.livemode, Some(request.request_id), &data)
    }

    /// Its authorization is acknowledged, and that counts.
    pub(super) fn authorized(&self) {
        self.expect(self.slot.lock().account.lease.authorized(self.request.request_id));
        self.life.shared.metrics.authorized.add_one();
    }

    /// Its usage is known: both events are made now, and sent until they are acknowledged.
    pub(super) fn settle(self, mut usage: UsageRecorded) -> JoinHandle<Result<Settled, SettleError>> {
        let error = usage.error.as_mut().map(|error| &mut error.message);
        let texts = [usage.served_model.as_mut(), usage.provider_request_id.as_mut(), error];
        texts.into_iter().flatten().for_each(cut);
        let request_id = self.request.request_id;
        let settling = self.slot.lock().account.lease.settling(request_id, usage.charge);
        let charged = settling.unwrap_or_else(|wrong| {
            self.expect(Err(wrong));
            Nanocredits::ZERO
        });
        let (account_id, livemode) = (self.slot.account_id, self.slot.livemode);
        let used = self.life.write(account_id, livemode, Some(request_id), &usage);
        let deduction = CreditsDeducted { amount: charged };
        let deducted = self.life.write(account_id, livemode, Some(request_id), &deduction);
        let shared = self.life.shared.clone();
        shared.track.spawn_on(
            async move {
                let (first, second) =
                    tokio::join!(deliver(&self.life, &used, Order::Any), deliver(&self.life, &deducted, Order::Any));
                first.and(second)?;
                let now = self.life.shared.now();
                let mut inner = self.slot.lock();
                self.expect(inner.account.lease.settled(request_id));
                inner.account.charged(charged, now);
                inner.serve();
                drop(inner);
                self.life.shared.metrics.settled.add_one();
                self.life.end_request();
                Ok(Settled { charged })
            },
            &shared.runtime,
        )
    }

    /// It came to nothing: the event is made now, and sent until it is acknowledged. `never_came` is the `seq` of an
    /// authorization that did not become a hold; its gate stays occupied until then.
    pub(super) fn release(
        self,
        reason: ReleaseReason,
        mut error_message: String,
        never_came: Option<(u64, GatePass)>,
    ) -> JoinHandle<Result<Settled, SettleError>> {
        cut(&mut error_message);
        let request_id = self.request.request_id;
        self.expect(self.slot.lock().account.lease.releasing(request_id));
        let data = AuthorizationReleased {
            reason,
            never_came: never_came.as_ref().map(|(seq, _)| *seq),
            api_key_id: self.api_key_id,
            kind: self.request.kind,
            model: self.request.model.clone(),
            streamed: self.request.streamed,
            error_message,
            latency_ms: u64::try_from(self.request.arrived.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let released = self.life.write(self.slot.account_id, self.slot.livemode, Some(request_id), &data);
        if let Some((seq, _)) = &never_came {
            self.life.let_go(|outbox| outbox.forget(*seq));
        }
        let shared = self.life.shared.clone();
        shared.track.spawn_on(
            async move {
                deliver(&self.life, &released, Order::Any).await?;
                let mut inner = self.slot.lock();
                self.expect(inner.account.lease.released(request_id));
                inner.serve();
                drop(inner);
                drop(never_came);
                self.life.shared.metrics.released.add_one();
                self.life.end_request();
                Ok(Settled { charged: Nanocredits::ZERO })
            },
            &shared.runtime,
        )
    }

    fn expect(&self, step: Result<(), super::lease::WrongStage>) {
        if let Err(wrong) = step {
            tracing::error!(request.id = %self.request.request_id, %wrong, "a bug: the books of this life are off");
            debug_assert!(false, "{wrong}");
        }
    }
}

fn cut(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = format!("{}ééé", "x".repeat(511));
        super::cut(&mut text);
        assert_eq!(text, "x".repeat(511));
    }
}
