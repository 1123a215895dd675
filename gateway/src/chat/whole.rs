//! An answer in one piece. It is fetched and settled in a task of its own: the provider bills it whether or not the client
//! is still there.

use std::time::Instant;

use axum::http::HeaderValue;
use axum::response::Response;
use bytes::Bytes;
use schemas::event::{ReleaseReason, UsageStatus};
use schemas::money::Nanocredits;

use super::answer::{Answer, Delivered};
use super::order::{Order, Went};
use super::{COST, STOPPED, cost, json, on_its_own};
use crate::edge::Edge;
use crate::error::Error;
use crate::till::Hold;
use crate::upstream::{Failure, said};
use crate::usage::Reported;

/// The largest answer that is taken, bytes: a few images in base64.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// Fetches the answer, settles it, and hands it out.
pub(super) async fn answer(edge: &Edge, order: Order, hold: Hold, body: Bytes) -> Result<Response, Error> {
    let task = edge.till().track().spawn(fetch(edge.clone(), order, hold, body));
    let (body, charged) = task.await.map_err(|_| Error::Internal)??;
    let mut response = json(body);
    if let Ok(charged) = HeaderValue::from_str(&charged.to_string()) {
        response.headers_mut().insert(COST, charged);
    }
    Ok(response)
}

async fn fetch(edge: Edge, order: Order, hold: Hold, body: Bytes) -> Result<(Bytes, Nanocredits), Error> {
    let answered = async {
        let answering = edge.client().chat(&hold, &order.connection, body, order.until).await?;
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
            // Also where the provider answered 200 with something that is no answer: it may bill that, but the customer got
            // nothing for it, so the loss is ours.
            on_its_own(hold.release(ReleaseReason::ProviderFailed, failure.words()));
            return Err(Error::Upstream(failure));
        }
    };
    let Some((usage, record)) = went else {
        on_its_own(hold.release(ReleaseReason::GatewayFailed, "the usage could not be rated".into()));
        return Err(Error::Internal);
    };
    let settled = tokio::time::timeout(order.left_to_settle(), hold.settle(record)).await;
    let Ok(Ok(settled)) = settled else { return Err(Error::SettlementUnconfirmed) };
    let text = std::str::from_utf8(&bytes).map_err(|_| Error::Internal)?;
    let priced = cost::into_whole(text, &usage, settled.charged).map_or_else(|| bytes.clone(), Bytes::from);
    Ok((priced, settled.charged))
}

type Record = (schemas::rate::Usage, schemas::event::UsageRecorded);

fn read<'a>(order: &Order, text: &'a str) -> Result<Answer<'a>, Failure> {
    let answer: Answer<'a> = serde_json::from_str(text).map_err(|_| Failure::Malformed)?;
    if let Some(error) = answer.error {
        return Err(said(&order.connection, error));
    }
    if answer.choices.is_none() { Err(Failure::Malformed) } else { Ok(answer) }
}

fn settle_with(order: &Order, answer: &Answer<'_>, first_byte: Instant) -> Option<Record> {
    let mut delivered = Delivered::default();
    delivered.add(answer);
    let went = Went {
        served_model: answer.model.as_deref(),
        provider_request_id: answer.id.as_deref(),
        reported: answer.usage.and_then(|usage| Reported::read(usage.get())),
        delivered,
        status: UsageStatus::Success,
        error: None,
        first_byte: Some(first_byte),
    };
    let record = order.record(&went, Instant::now())?;
    Some((record.usage, record))
}
