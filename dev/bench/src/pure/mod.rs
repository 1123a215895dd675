//! The pure parts of the hot path, each run so many times: what `check` counts the instructions of, and a profiler can look at.

pub(crate) mod check;

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use chrono::Utc;
use clap::ValueEnum;
use gateway::measured;
use gateway::till::account::{Account, Asked};
use gateway::till::gates::Gates;
use gateway::till::outbox::{Era, Outbox, Sealed};
use schemas::books::{Ending, Slots};
use schemas::event::{Event, EventData, Header, RequestAuthorized, RequestKind, Source, encode};
use schemas::ids::{AccountId, EmitterId, EventId, RequestId};
use schemas::merkle::{Frontier, leaf_hash};
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::{Bounds, Usage, rate};
use uuid::Uuid;

use crate::floor::provider;
use crate::load::Ask;

const MODEL: &str = "anthropic/claude-haiku-4.5";
const HOLD: Nanocredits = Nanocredits::new(3_800_000_000);
const CHARGE: Nanocredits = Nanocredits::new(3_360_000_000);
const NOW: Duration = Duration::from_secs(60);
const ERA: Era = Era { generation: 1, connection: 1 };

/// A part of the way of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Part {
    /// A request's body: read, bounded, priced, and written for the provider.
    Request,
    /// The hold out of the lease, a gate, and the settlement's stages.
    AuthorizeAndSettle,
    /// The bytes of an authorization, through the outbox.
    EncodeAndKeep,
    /// A usage, rated by the price book.
    Rate,
    /// A whole answer: read, rated, its cost written into it.
    Whole,
    /// A stream of 32 chunks, each in a read of its own: framed, read, rated, its cost written into its end.
    Stream,
    /// An event's bytes, decoded.
    Decode,
    /// A request's three slots, filled.
    Fold,
    /// An event's leaf in the tree.
    Hash,
}

/// Runs a part so many times.
pub(crate) fn run(part: Part, times: u64) -> Result<()> {
    match part {
        Part::Request => {
            let body = Ask::Stream.body();
            repeat(times, || measured::request(black_box(&body)));
        }
        Part::Whole => repeat(times, || measured::whole(black_box(provider::WHOLE))),
        Part::Stream => {
            let reads = provider::events();
            repeat(times, || measured::stream(black_box(&reads)));
        }
        Part::AuthorizeAndSettle => authorize_and_settle(times)?,
        Part::EncodeAndKeep => {
            let (mut outbox, mut seq) = (Outbox::default(), 0);
            repeat(times, || {
                seq += 1;
                let bytes = event(&authorization());
                outbox.keep(Sealed {
                    seq,
                    account_id: AccountId(Uuid::nil()),
                    event_type: RequestAuthorized::TYPE,
                    bytes,
                });
                outbox.acknowledged(seq, ERA, NOW);
                outbox.appended(seq, &[], NOW);
            });
        }
        Part::Rate => {
            let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).context("a catalogue")?;
            let usage = Usage { input_tokens: 2_000, output_tokens: 1_000, ..Usage::default() };
            repeat(times, || rate(&book, MODEL, black_box(&usage)));
        }
        Part::Decode => {
            let bytes = event(&authorization());
            repeat(times, || Event::decode(black_box(&bytes)));
        }
        Part::Fold => repeat(times, || {
            let mut slots = Slots::default();
            let filled = (
                slots.fill_authorization(black_box(HOLD), true),
                slots.fill_usage(black_box(CHARGE)),
                slots.fill_ending(Ending::Deducted(black_box(CHARGE))),
            );
            (filled, slots)
        }),
        Part::Hash => {
            let (bytes, mut tree) = (event(&authorization()), Frontier::default());
            repeat(times, || tree.extend([leaf_hash(black_box(&bytes))]));
        }
    }
    Ok(())
}

fn repeat<T>(times: u64, mut part: impl FnMut() -> T) {
    for _ in 0..times {
        black_box(part());
    }
}

fn authorize_and_settle(times: u64) -> Result<()> {
    let (mut account, mut gates) = (Account::default(), Gates::default());
    account.lease.granted(Nanocredits::new(i64::MAX / 2));
    for number in 0..times {
        let request = RequestId(Uuid::from_u128(u128::from(number)));
        let asked = account.ask(request, HOLD, NOW);
        debug_assert_eq!(asked, Asked::Taken);
        black_box(account.begin_asking(false, NOW));
        let gate = gates.take().context("a gate")?;
        account.lease.published(request)?;
        account.lease.authorized(request)?;
        gates.give_back(gate);
        let charged = account.lease.settling(request, CHARGE)?;
        account.lease.settled(request)?;
        account.charged(charged, NOW);
        black_box(account.serve());
    }
    Ok(())
}

fn authorization() -> RequestAuthorized {
    RequestAuthorized {
        api_key_id: None,
        kind: RequestKind::Chat,
        model: MODEL.to_owned(),
        fallbacks: Vec::new(),
        upstream: "vercel".to_owned(),
        streamed: true,
        hold: HOLD,
        bounds: Bounds::default(),
        price_version: 1,
        gate: 5,
    }
}

fn event<T: EventData>(data: &T) -> Bytes {
    let header = Header {
        id: EventId(Uuid::now_v7()),
        account_id: Some(AccountId(Uuid::nil())),
        request_id: Some(RequestId(Uuid::nil())),
        emitter: EmitterId(Uuid::nil()),
        seq: 1,
        time: Utc::now(),
        livemode: true,
    };
    // An event is a struct of plain fields: there is nothing in it that JSON cannot say.
    encode(Source::Gateway, &header, data).map(Bytes::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs() {
        for part in Part::value_variants() {
            run(*part, 3).unwrap();
        }
    }
}
