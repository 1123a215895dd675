//! What a receipt proves, checked from its bytes and a verifier key alone.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::sum::Sum;
use super::{FORMAT, Proved, Receipt};
use crate::event::{Event, Payload};
use crate::ids::{AccountId, RequestId};
use crate::merkle::note::{Note, VerifierKey};
use crate::merkle::{Checkpoint, Hash, leaf_hash, verify_inclusion};
use crate::price_book::PriceBook;

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Nothing is wrong with it.
    pub ok: bool,
    /// What is wrong, all of it.
    pub problems: Vec<String>,
    /// Which request.
    pub request_id: RequestId,
    /// Whose.
    pub account_id: AccountId,
    /// Which log, by its checkpoint; absent where the signature is not good.
    pub origin: Option<String>,
    /// Positions that the checkpoint covers.
    pub size: Option<u64>,
    /// Root of the log's tree of that size.
    pub root: Option<Hash>,
    /// The key that has signed it.
    pub signed_by: Option<String>,
    /// The events, as far as they can be read.
    pub events: Vec<CheckedEvent>,
    /// The version of the prices, where their event is there.
    pub price_version: Option<u32>,
    /// What the events come to.
    #[serde(flatten)]
    pub sum: Sum,
}

/// One event of a receipt.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct CheckedEvent {
    pub position: u64,
    pub r#type: &'static str,
    pub time: DateTime<Utc>,
}

/// Checks every proof, the signature, and that the events are one request's and add up by the rules.
/// `origin` is the log's name; where there is none, the name of the key that signed it is expected.
pub fn check(receipt: &Receipt, keys: &[VerifierKey], origin: Option<&str>) -> Checked {
    let mut problems = Vec::new();
    if receipt.format != FORMAT {
        problems.push(format!("its format is '{}'; this program knows {FORMAT}", receipt.format));
    }
    let signed = signed(&receipt.checkpoint, keys, origin).map_err(|why| problems.push(why)).ok();
    let tree = signed.as_ref().map(|(checkpoint, _)| (checkpoint.size, checkpoint.root));
    let mut events = Vec::new();
    for proved in &receipt.events {
        if let Some(event) = proved_event(proved, tree, &mut problems) {
            events.push((proved.position, event));
        }
    }
    if receipt.events.is_empty() {
        problems.push("it has no events".to_owned());
    }
    if !receipt.events.is_sorted_by(|one, next| one.position < next.position) {
        problems.push("its events are not in the log's order".to_owned());
    }
    belong_together(receipt, &events, &mut problems);
    let book = prices(receipt, &events, tree, &mut problems);
    let sum = Sum::of(&events, book.as_ref(), &mut problems);
    if receipt.complete != sum.complete {
        let (said, is) = if receipt.complete { ("ended", "not ended") } else { ("running", "ended") };
        problems.push(format!("it says that the request is {said}; by its events it is {is}"));
    }
    let shown = events.iter().map(|(position, event)| CheckedEvent {
        position: *position,
        r#type: event.payload.type_name(),
        time: event.header.time,
    });
    Checked {
        ok: problems.is_empty(),
        request_id: receipt.request_id,
        account_id: receipt.account_id,
        origin: signed.as_ref().map(|(checkpoint, _)| checkpoint.origin.clone()),
        size: tree.map(|(size, _)| size),
        root: tree.map(|(_, root)| root),
        signed_by: signed.map(|(_, key)| key),
        events: shown.collect(),
        price_version: book.map(|book| book.version),
        sum,
        problems,
    }
}

fn signed(note: &str, keys: &[VerifierKey], origin: Option<&str>) -> Result<(Checkpoint, String), String> {
    let note = Note::parse(note).map_err(|error| format!("the checkpoint: {error}"))?;
    let (text, key) = note.verify(keys).map_err(|error| format!("the checkpoint: {error}"))?;
    let checkpoint: Checkpoint = text.parse().map_err(|error| format!("the checkpoint: {error}"))?;
    let expected = origin.unwrap_or(key.name());
    if checkpoint.origin != expected {
        return Err(format!("the checkpoint is of the log '{}', not of '{expected}'", checkpoint.origin));
    }
    Ok((checkpoint, key.to_string()))
}

fn proved_event(proved: &Proved, tree: Option<(u64, Hash)>, problems: &mut Vec<String>) -> Option<Event> {
    let position = proved.position;
    if let Some((size, root)) = tree {
        let leaf = leaf_hash(proved.event.as_bytes());
        let proof = match position.checked_sub(1) {
            Some(index) => verify_inclusion(leaf, index, size, &proved.proof, root).map_err(|error| error.to_string()),
            None => Err("positions count from 1".to_owned()),
        };
        if let Err(error) = proof {
            problems.push(format!("the event at position {position} is not proved to be in the log: {error}"));
        }
    }
    Event::decode(proved.event.as_bytes())
        .map_err(|error| problems.push(format!("the event at position {position} cannot be read: {error}")))
        .ok()
}

fn belong_together(receipt: &Receipt, events: &[(u64, Event)], problems: &mut Vec<String>) {
    for (position, event) in events {
        if event.header.request_id != Some(receipt.request_id) {
            problems.push(format!("position {position} is of another request"));
        }
        if event.header.account_id != Some(receipt.account_id) {
            problems.push(format!("position {position} is of another account"));
        }
    }
    if events.windows(2).any(|pair| pair[0].1.header.livemode != pair[1].1.header.livemode) {
        problems.push("live and test money meet in it".to_owned());
    }
}

/// The price book that the usage was rated by, proved like everything else.
fn prices(
    receipt: &Receipt,
    events: &[(u64, Event)],
    tree: Option<(u64, Hash)>,
    problems: &mut Vec<String>,
) -> Option<PriceBook> {
    let wanted = events.iter().find_map(|(_, event)| match &event.payload {
        Payload::UsageRecorded(data) => Some(data.price_version),
        _ => None,
    });
    let Some(proved) = &receipt.prices else {
        if let Some(version) = wanted {
            problems.push(format!("price book {version}, which the usage was rated by, is not in it"));
        }
        return None;
    };
    let event = proved_event(proved, tree, problems)?;
    let Payload::PriceBookPublished(data) = event.payload else {
        problems.push(format!("position {} publishes no prices", proved.position));
        return None;
    };
    if wanted.is_some_and(|version| version != data.book.version) {
        problems.push(format!("its price book is version {}, the usage was rated by another", data.book.version));
        return None;
    }
    Some(data.book)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::event::{
        CreditsDeducted, EventData, Header, PriceBookPublished, RequestAuthorized, RequestKind, Source, UsageRecorded,
        UsageSource, UsageStatus, encode,
    };
    use crate::ids::{EmitterId, EventId};
    use crate::merkle::note::SignerKey;
    use crate::merkle::{Frontier, Tiles, inclusion_proof};
    use crate::money::Nanocredits;
    use crate::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE};
    use crate::rate::{Bounds, Usage, rate};

    const MODEL: &str = "anthropic/claude-sonnet-4.5";

    fn signer() -> SignerKey {
        SignerKey::from_seed("layers/test", [9; 32]).unwrap()
    }

    fn credits(text: &str) -> Nanocredits {
        text.parse().unwrap()
    }

    fn book() -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap()
    }

    fn usage() -> UsageRecorded {
        let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
        let rating = rate(&book(), MODEL, &usage).unwrap();
        UsageRecorded {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.into(),
            served_model: None,
            provider: "anthropic".into(),
            upstream: "simulator".into(),
            provider_request_id: None,
            usage,
            source: UsageSource::Provider,
            status: UsageStatus::Success,
            error: None,
            latency_ms: 1,
            ttft_ms: None,
            streamed: false,
            price_version: 1,
            cost_usd: rating.cost_usd,
            provider_cost_usd: None,
            charge: rating.charge,
            breakdown: rating.breakdown,
        }
    }

    fn authorization(hold: &str) -> RequestAuthorized {
        RequestAuthorized {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.into(),
            fallbacks: Vec::new(),
            upstream: "simulator".into(),
            streamed: false,
            hold: credits(hold),
            bounds: Bounds::default(),
            price_version: 1,
            gate: 0,
        }
    }

    /// A log in the making, and one request in it.
    struct Log {
        request: RequestId,
        account: AccountId,
        events: Vec<Vec<u8>>,
    }

    impl Log {
        fn with_prices() -> Self {
            let mut log =
                Self { request: RequestId(Uuid::from_u128(1)), account: AccountId(Uuid::from_u128(2)), events: vec![] };
            log.say(None, &PriceBookPublished { book: book(), by: "test".into(), why: "test".into() });
            log
        }

        fn say<T: EventData>(&mut self, request: Option<RequestId>, data: &T) {
            let seq = self.events.len() as u64 + 1;
            let header = Header {
                id: EventId(Uuid::from_u128(u128::from(seq))),
                account_id: request.map(|_| self.account),
                request_id: request,
                emitter: EmitterId(Uuid::from_u128(3)),
                seq,
                time: DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
                livemode: true,
            };
            self.events.push(encode(Source::Gateway, &header, data).unwrap());
        }

        fn charged() -> Self {
            let mut log = Self::with_prices();
            log.say(Some(log.request), &authorization("10"));
            log.say(Some(log.request), &usage());
            log.say(Some(log.request), &CreditsDeducted { amount: credits("3.36") });
            log
        }

        fn receipt(&self, complete: bool) -> Receipt {
            let leaves: Vec<Hash> = self.events.iter().map(|event| leaf_hash(event)).collect();
            let mut tree = Frontier::default();
            tree.extend(leaves.iter().copied());
            let mut tiles = Tiles::default();
            tiles.insert(0, 0, &Hash::concat(&leaves)).unwrap();
            let checkpoint = Checkpoint { origin: "layers/test".into(), size: tree.size(), root: tree.edge().root() };
            let mut proved = self.events.iter().zip(1..).map(|(event, position)| Proved {
                position,
                event: String::from_utf8(event.clone()).unwrap(),
                proof: inclusion_proof(position - 1, tree.size(), &tiles).unwrap(),
            });
            Receipt {
                format: FORMAT.into(),
                request_id: self.request,
                account_id: self.account,
                complete,
                checkpoint: checkpoint.sign(&signer()),
                prices: proved.next(),
                events: proved.collect(),
            }
        }
    }

    fn problems(receipt: &Receipt) -> Vec<String> {
        check(receipt, &[signer().verifier().clone()], None).problems
    }

    #[test]
    fn a_charge_is_proved_and_recomputed() {
        let receipt = Log::charged().receipt(true);
        let checked = check(&receipt, &[signer().verifier().clone()], None);
        assert!(checked.ok, "{:?}", checked.problems);
        let expected = Sum {
            hold: Some(credits("10")),
            rated: Some(credits("3.36")),
            charged: Some(credits("3.36")),
            adjusted: Nanocredits::ZERO,
            complete: true,
        };
        assert_eq!((checked.sum, checked.size, checked.price_version), (expected, Some(4), Some(1)));
        let types: Vec<_> = checked.events.iter().map(|event| event.r#type).collect();
        assert_eq!(types, ["RequestAuthorized", "UsageRecorded", "CreditsDeducted"]);
        let text = serde_json::to_string(&receipt).unwrap();
        assert_eq!(serde_json::from_str::<Receipt>(&text).unwrap(), receipt, "read as it is written");
    }

    #[test]
    fn whatever_is_changed_in_a_receipt_is_named() {
        let good = Log::charged().receipt(true);
        let changed = |change: fn(&mut Receipt)| {
            let mut receipt = good.clone();
            change(&mut receipt);
            problems(&receipt).join("; ")
        };
        for (told, change) in [
            (
                "position 3 is not proved",
                (|r| r.events[1].event = r.events[1].event.replacen("2000", "2001", 1)) as fn(&mut Receipt),
            ),
            ("position 4 is not proved", |r| r.events[2].event = r.events[2].event.replace("3.36", "3.35")),
            ("position 2 is not proved", |r| r.events[0].proof[1].0[0] ^= 1),
            ("position 2 is not proved", |r| r.events[0].proof.truncate(1)),
            ("position 5 is not proved", |r| r.events[2].position = 5),
            ("position 0 is not proved", |r| r.events[0].position = 0),
            ("position 1 is not proved", |r| {
                let prices = r.prices.as_mut().unwrap();
                prices.event = prices.event.replacen("6000", "6001", 1);
            }),
            ("not by the key", |r| r.checkpoint = r.checkpoint.replace("layers/test\n4\n", "layers/test\n5\n")),
            ("not a signed note", |r| r.checkpoint = "layers/test\n4\n".into()),
            ("not in the log's order", |r| r.events.swap(0, 1)),
            ("no events", |r| r.events.clear()),
            ("another request", |r| r.request_id = RequestId(Uuid::from_u128(7))),
            ("another account", |r| r.account_id = AccountId(Uuid::from_u128(7))),
            ("the request is running", |r| r.complete = false),
            ("by its events it is not ended", |r| r.events.truncate(2)),
            ("price book 1, which the usage was rated by, is not in it", |r| r.prices = None),
            ("publishes no prices", |r| r.prices = Some(r.events[0].clone())),
            ("its format is", |r| r.format = "layers-receipt/v2".into()),
        ] {
            let said = changed(change);
            assert!(said.contains(told), "{told}: {said}");
        }
        let stranger = SignerKey::from_seed("layers/test", [8; 32]).unwrap();
        assert!(!check(&good, &[stranger.verifier().clone()], None).ok);
        assert!(!check(&good, &[], None).ok);
        let elsewhere = check(&good, &[signer().verifier().clone()], Some("example.com/other"));
        assert_eq!(elsewhere.problems, ["the checkpoint is of the log 'layers/test', not of 'example.com/other'"]);
        assert_eq!((elsewhere.size, elsewhere.root), (None, None));
    }

    #[test]
    fn a_deduction_that_is_not_by_the_rule_is_named() {
        let mut log = Log::with_prices();
        log.say(Some(log.request), &authorization("3"));
        log.say(Some(log.request), &usage());
        log.say(Some(log.request), &CreditsDeducted { amount: credits("3.36") });
        let receipt = log.receipt(true);
        let checked = check(&receipt, &[signer().verifier().clone()], None);
        assert_eq!(checked.sum.charged, Some(credits("3")), "never more than the hold");
        assert_eq!(checked.problems, ["3.36 credits are deducted where the rule (usage, at most the hold) says 3"]);

        let mut log = Log::with_prices();
        log.say(Some(log.request), &authorization("10"));
        log.say(Some(log.request), &UsageRecorded { charge: credits("4"), ..usage() });
        log.say(Some(log.request), &CreditsDeducted { amount: credits("4") });
        let said = problems(&log.receipt(true)).join("; ");
        assert!(said.contains("worth 4 credits; by price book 1 it is worth 3.36"), "{said}");
    }

    #[test]
    fn a_request_that_runs_has_a_receipt_too() {
        let mut log = Log::with_prices();
        log.say(Some(log.request), &authorization("10"));
        let mut receipt = log.receipt(false);
        receipt.prices = None;
        let checked = check(&receipt, &[signer().verifier().clone()], None);
        assert!(checked.ok, "{:?}", checked.problems);
        assert_eq!((checked.sum.complete, checked.sum.charged), (false, None));
    }
}
