//! Room below the caps of keys, in one life: set aside by the ledger before a request of such a key is authorized.
//!
//! One question about a key is under way at a time; its answer decides all that waited when it was asked. What was promised and
//! is not used is told with the next question, again until that is answered. A key without a cap never comes here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemas::ids::{ApiKeyId, RequestId};
use schemas::message::{KeyReserved, RefusalCode, ReserveKey, command_name};
use schemas::money::Nanocredits;
use tokio::sync::oneshot;

use super::life::Life;
use super::refused::Refused;
use super::take::Declined;

const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// Before the ledger is asked again after it did not answer.
const PAUSE: Duration = Duration::from_millis(250);
/// A word of the ledger that is older is not believed where an output limit is filled in.
const WORD_KEEPS: Duration = Duration::from_secs(2);

/// The keys with caps that were served in one life.
#[derive(Debug, Default)]
pub(super) struct KeyCaps {
    keys: Mutex<HashMap<ApiKeyId, Arc<Mutex<Key>>>>,
}

#[derive(Debug, Default)]
struct Key {
    seq: u64,
    asking: bool,
    waiting: Vec<Waiting>,
    curious: Vec<oneshot::Sender<Option<Nanocredits>>>,
    dropped: Vec<RequestId>,
    word: Option<(Nanocredits, Duration)>,
}

#[derive(Debug)]
struct Waiting {
    request: RequestId,
    amount: Nanocredits,
    verdict: oneshot::Sender<Result<(), Declined>>,
}

/// Room that the ledger has set aside for a request. Dropped, it is given back; kept, once the authorization is acknowledged:
/// then the ledger counts the hold.
#[derive(Debug)]
pub(super) struct Reserved {
    life: Arc<Life>,
    api_key_id: ApiKeyId,
    request: Option<RequestId>,
}

impl Reserved {
    /// The request is authorized.
    pub(super) fn keep(mut self) {
        self.request = None;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(request) = self.request.take() else { return };
        let key = self.life.key_caps.key(self.api_key_id);
        let mut inner = key.lock();
        let waited = inner.waiting.len();
        inner.waiting.retain(|waiting| waiting.request != request);
        if inner.waiting.len() == waited {
            inner.dropped.push(request);
        }
        let begins = inner.begin();
        drop(inner);
        if begins {
            spawn(&self.life, self.api_key_id, &key);
        }
    }
}

impl KeyCaps {
    fn key(&self, api_key_id: ApiKeyId) -> Arc<Mutex<Key>> {
        self.keys.lock().entry(api_key_id).or_default().clone()
    }
}

impl Key {
    fn begin(&mut self) -> bool {
        let rests = self.waiting.is_empty() && self.dropped.is_empty() && self.curious.is_empty();
        let begins = !self.asking && !rests;
        self.asking |= begins;
        begins
    }
}

/// Sets room aside for a request. Dropping the future gives it back.
pub(super) async fn reserve(
    life: &Arc<Life>,
    api_key_id: ApiKeyId,
    request: RequestId,
    amount: Nanocredits,
) -> Result<Reserved, Declined> {
    let key = life.key_caps.key(api_key_id);
    let (verdict, decided) = oneshot::channel();
    let begins = {
        let mut inner = key.lock();
        inner.waiting.push(Waiting { request, amount, verdict });
        inner.begin()
    };
    let reserved = Reserved { life: life.clone(), api_key_id, request: Some(request) };
    if begins {
        spawn(life, api_key_id, &key);
    }
    match decided.await {
        Ok(Ok(())) => Ok(reserved),
        // Nothing is set aside, or it is on the list of what is given back already.
        Ok(Err(declined)) => {
            reserved.keep();
            Err(declined)
        }
        Err(_) => Err(Declined::LifeIsOver),
    }
}

/// What a key can still spend, by a word of the ledger of this moment or just before; none if it does not answer.
pub(super) async fn left(life: &Arc<Life>, api_key_id: ApiKeyId) -> Option<Nanocredits> {
    let key = life.key_caps.key(api_key_id);
    let answer = {
        let mut inner = key.lock();
        if let Some((left, at)) = inner.word
            && life.shared.now().saturating_sub(at) < WORD_KEEPS
        {
            return Some(left);
        }
        let (curious, answer) = oneshot::channel();
        inner.curious.push(curious);
        if inner.begin() {
            spawn(life, api_key_id, &key);
        }
        answer
    };
    answer.await.ok().flatten()
}

fn spawn(life: &Arc<Life>, api_key_id: ApiKeyId, key: &Arc<Mutex<Key>>) {
    let asking = ask(life.clone(), api_key_id, key.clone());
    life.shared.background.spawn_on(asking, &life.shared.runtime);
}

async fn ask(life: Arc<Life>, api_key_id: ApiKeyId, key: Arc<Mutex<Key>>) {
    while let Some((asked, question)) = next(&life, api_key_id, &key) {
        let subject = life.shared.cell.command(command_name::RESERVE_KEY);
        let answer = life.shared.bus.ask::<KeyReserved>(subject, &question, ANSWERED_WITHIN).await;
        let why = match answer {
            Ok(Ok(reply)) => {
                answered(&life, &key, asked, question.dropped.len(), &reply);
                continue;
            }
            Ok(Err(refusal)) if refusal.code == RefusalCode::NotRegistered => {
                life.end("the ledger does not know it");
                key.lock().waiting.extend(asked.waiting);
                continue;
            }
            Ok(Err(refusal)) => refusal.to_string(),
            Err(silence) => silence.to_string(),
        };
        tracing::warn!(api_key.id = %api_key_id, why, "the ledger sets nothing aside below a key's cap");
        unanswered(&key, asked);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who waits for one answer.
struct Asked {
    waiting: Vec<Waiting>,
    curious: Vec<oneshot::Sender<Option<Nanocredits>>>,
}

/// The next question; none if nobody waits and nothing is to be told.
fn next(life: &Life, api_key_id: ApiKeyId, key: &Mutex<Key>) -> Option<(Asked, ReserveKey)> {
    let mut inner = key.lock();
    inner.asking = false;
    // At the end of a life the ledger takes back what it promised to it.
    if life.is_over() {
        inner.dropped.clear();
        inner.curious.clear();
        inner.waiting.drain(..).for_each(|waiting| waiting.tell(Err(Declined::LifeIsOver)));
    }
    if !inner.begin() {
        return None;
    }
    inner.seq += 1;
    let asked = Asked { waiting: std::mem::take(&mut inner.waiting), curious: std::mem::take(&mut inner.curious) };
    let wanted = asked.waiting.iter().map(|waiting| (waiting.request, waiting.amount)).collect();
    let (seq, dropped) = (inner.seq, inner.dropped.clone());
    Some((asked, ReserveKey { gateway: life.emitter, api_key_id, seq, wanted, dropped }))
}

fn answered(life: &Life, key: &Mutex<Key>, asked: Asked, told: usize, reply: &KeyReserved) {
    let mut inner = key.lock();
    inner.dropped.drain(..told);
    inner.word = Some((reply.left(), life.shared.now()));
    asked.curious.into_iter().for_each(|curious| {
        let _ = curious.send(Some(reply.left()));
    });
    for waiting in asked.waiting {
        let granted = reply.granted.contains(&waiting.request);
        let verdict = if granted { Ok(()) } else { Err(Declined::Refused(refused(reply, waiting.amount))) };
        waiting.tell(verdict);
    }
}

fn unanswered(key: &Mutex<Key>, asked: Asked) {
    let mut inner = key.lock();
    asked.curious.into_iter().for_each(|curious| {
        let _ = curious.send(None);
    });
    for waiting in asked.waiting {
        // It may have been set aside.
        inner.dropped.push(waiting.request);
        waiting.tell(Err(Declined::Refused(Refused::unavailable("the ledger does not answer"))));
    }
}

impl Waiting {
    fn tell(self, verdict: Result<(), Declined>) {
        // Who does not wait any longer has said so by dropping what it waited for.
        let _ = self.verdict.send(verdict);
    }
}

fn refused(word: &KeyReserved, needed: Nanocredits) -> Refused {
    Refused::KeyCapReached { needed, left: word.left(), held: word.held, cap: word.cap, until: word.until }
}
