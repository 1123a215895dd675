//! Asks the ledger for credits, one question at a time for an account.

use std::sync::Arc;
use std::time::Duration;

use schemas::message::{LeaseReply, LeaseRequest, RefusalCode};

use super::account::Next;
use super::life::Life;
use super::slot::Slot;

/// No answer by then is no answer; those who wait are told so.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Before the ledger is asked again for credits that are about to come free; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);
/// Before the ledger is asked again for credits that it says are there.
const SHORT_PAUSE: Duration = Duration::from_millis(1);

/// Asks in the background, after [`super::account::Account::begin_asking`] has said so.
pub(super) fn spawn(life: &Arc<Life>, slot: &Arc<Slot>) {
    let asking = ask(life.clone(), slot.clone());
    life.shared.background.spawn_on(asking, &life.shared.runtime);
}

async fn ask(life: Arc<Life>, slot: Arc<Slot>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let question = {
            let mut inner = slot.lock();
            let (need, want) = inner.account.wish(life.shared.now());
            let granted_total = inner.account.lease.granted_total();
            LeaseRequest { gateway: life.emitter, account_id: slot.account_id, granted_total, need, want }
        };
        life.shared.metrics.lease_requests.add_one();
        let subject = life.shared.cell.lease();
        let answer = life.shared.bus.ask::<LeaseReply>(subject, &question, ANSWERED_WITHIN).await;
        let next = match answer {
            Ok(Ok(reply)) => answered(&life, &slot, &reply),
            Ok(Err(refusal)) => {
                tracing::warn!(account.id = %slot.account_id, code = ?refusal.code, %refusal, "no lease");
                if refusal.code == RefusalCode::NotRegistered {
                    life.end("the ledger does not know it");
                }
                return unanswered(&slot);
            }
            Err(silence) => {
                tracing::warn!(account.id = %slot.account_id, %silence, "the ledger does not answer a lease request");
                return unanswered(&slot);
            }
        };
        match next {
            Next::Rest => return,
            Next::AskNow => tokio::time::sleep(SHORT_PAUSE).await,
            Next::AskLater => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        let mut inner = slot.lock();
        let curious = inner.is_curious();
        if !inner.account.goes_on_asking(curious) {
            return;
        }
    }
}

fn answered(life: &Life, slot: &Slot, reply: &LeaseReply) -> Next {
    let now = life.shared.now();
    let mut inner = slot.lock();
    let (verdicts, next) = inner.account.answered(reply, now);
    inner.tell(verdicts);
    let word = inner.account.word();
    inner.answer(word);
    next
}

fn unanswered(slot: &Slot) {
    let mut inner = slot.lock();
    let verdicts = inner.account.unanswered();
    inner.tell(verdicts);
    inner.answer(None);
}
