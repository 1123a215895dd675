//! An answer in one piece. It is fetched and settled in a task of its own: the provider bills it whether or not the client
//! is still there.

use std::time::Instant;

use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use schemas::event::{ReleaseReason, UsageRecorded, UsageStatus};
use schemas::money::Nanocredits;

use super::asking::Asking;
use super::cost::{self, Cost};
use super::order::{Order, Told, Went, milliseconds};
use super::said::Said;
use super::sold::Sold;
use super::{COST, STOPPED, json, on_its_own};
use crate::edge::Edge;
use crate::error::Error;
use crate::till::Hold;
use crate::upstream::Failure;

/// The largest answer that is taken, bytes: a few images in base64.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Fetches the answer, settles it, and hands it out.
/// With it comes the model that answered, if another one stands in.
pub(super) async fn answer(
    edge: &Edge,
    order: Order,
    hold: Hold,
    asking: Asking,
) -> Result<(Response, Option<Box<Sold>>), Error> {
    let task = edge.till().track().spawn(fetch(edge.clone(), order, hold, asking));
    let Fetched { body, charged, other } = task.await.map_err(|_| Error::Crashed)??;
    let mut response = json(body);
    if let Ok(charged) = HeaderValue::from_str(&charged.to_string()) {
        response.headers_mut().insert(COST, charged);
    }
    Ok((response, other))
}

struct Fetched {
    body: Bytes,
    charged: Nanocredits,
    /// The model that answered, if it is not the one that was asked first.
    other: Option<Box<Sold>>,
}

async fn fetch(edge: Edge, mut order: Order, hold: Hold, mut asking: Asking) -> Result<Fetched, Error> {
    let mut has_begun = false;
    let answered = async {
        let answering = asking.answer(&hold, &mut order).await?;
        has_begun = true;
        let first_byte = Instant::now();
        Ok::<_, Failure>((first_byte, answering.whole(ANSWER_LIMIT).await?))
    };
    let answered = tokio::select! {
        biased;
        answered = answered => answered,
        // What the provider bills for it is our loss; a hold that stays open until it expires would be the customer's.
        () = edge.cut().cancelled() => {
            on_its_own(hold.release(ReleaseReason::GatewayFailed, STOPPED.into()));
            return Err(Error::Stopping);
        }
    };
    let read = answered.and_then(|(first_byte, bytes)| {
        let text = std::str::from_utf8(&bytes).map_err(|_| Failure::Malformed)?;
        let answer = read(&order, text)?;
        Ok((settle_with(&order, &answer, first_byte), bytes))
    });
    let (went, bytes) = match read {
        Ok(read) => read,
        Err(failure) => {
            if has_begun {
                asking.broke();
            }
            // Also where the provider answered 200 with something that is no answer: it may bill that, but the customer got
            // nothing for it, so the loss is ours.
            on_its_own(hold.release(ReleaseReason::ProviderFailed, failure.words()));
            return Err(Error::Upstream(failure));
        }
    };
    let Some(record) = went else {
        on_its_own(hold.release(ReleaseReason::GatewayFailed, "the usage could not be rated".into()));
        return Err(Error::Internal);
    };
    let (usage, source) = (record.usage, record.source);
    let settled = tokio::time::timeout(order.left_to_settle(), hold.settle(record)).await;
    let Ok(Ok(settled)) = settled else { return Err(Error::SettlementUnconfirmed) };
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Crashed)?;
    let finished = order.finish.and_then(|finish| finish(text));
    let text = finished.as_deref().unwrap_or(text);
    let cost = Cost { words: order.route.words(), usage: &usage, source, charged: settled.charged };
    let mut answer = cost.into_whole(text);
    if order.tells_layers {
        let latency_ms = milliseconds(order.arrived.elapsed());
        answer = cost::with_layers(answer.as_deref().unwrap_or(text), settled.charged, latency_ms).or(answer);
    }
    let answer = answer.or(finished).map_or_else(|| bytes.clone(), Bytes::from);
    let other = order.turned.then(|| Box::new(order.sold));
    Ok(Fetched { body: answer, charged: settled.charged, other })
}

fn read<'a>(order: &Order, text: &'a str) -> Result<Said<'a>, Failure> {
    let said = order.route.whole(text).ok_or(Failure::Malformed)?;
    match said.error {
        Some(error) => Err(crate::upstream::said(&order.to_ask.connection, error)),
        None => Ok(said),
    }
}

fn settle_with(order: &Order, said: &Said<'_>, first_byte: Instant) -> Option<UsageRecorded> {
    let went = Went {
        served_model: said.model.as_deref(),
        provider_request_id: said.id.as_deref(),
        told: Told { reported: said.usage, is_last: true },
        delivered: said.delivered,
        status: UsageStatus::Success,
        error: None,
        first_byte: Some(first_byte),
    };
    order.record(&went, Instant::now())
}
