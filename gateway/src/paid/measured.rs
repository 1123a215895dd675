//! The pure parts of the hot path by themselves, for those who count what they cost: what a request, a whole answer and a
//! stream go through beside waiting.

use bytes::Bytes;
use schemas::event::{UsageSource, UsageStatus};
use schemas::money::Nanocredits;

use super::cost::Cost;
use super::course::Course;
use super::order::{Order, Told, Went};
use super::route::Route;
use super::sample::{book, order};
use super::sold::Sold;
use super::{bound, rewrite};
use crate::chat::CHAT;

/// A chat request that names its output limit: read, its model found, bounded and priced, and written for the provider.
///
/// # Panics
/// When it is none.
pub fn request(body: &Bytes) -> (Nanocredits, Bytes) {
    let book = book();
    let text = std::str::from_utf8(body).expect("text");
    let ask = CHAT.read(text).expect("a request");
    let model = crate::models::for_route(&book, &ask.model, &CHAT).expect("a model that is sold");
    let sold = Sold::new(&book, &ask, model, None);
    let hold = bound::hold(&book, model, &sold.bounds);
    (hold, rewrite::upstream_body(body, &CHAT, &ask, &sold.model, None))
}

/// A whole chat answer: read, rated, and its cost written into it.
///
/// # Panics
/// When it is none.
pub fn whole(answer: &str) -> String {
    let said = CHAT.whole(answer).expect("an answer");
    let (order, hold) = order(&CHAT, 20);
    let went = Went {
        served_model: said.model.as_deref(),
        provider_request_id: said.id.as_deref(),
        told: Told { reported: said.usage, is_last: true },
        delivered: said.delivered,
        status: UsageStatus::Success,
        error: None,
        first_byte: None,
    };
    let record = order.record(&went, order.arrived).expect("every usage is rated");
    priced(&order, &record.usage, record.source, record.charge.min(hold)).into_whole(answer).expect("a cost in it")
}

/// A chat stream that comes in these reads: framed, read, forwarded, rated, and its cost written into its end. Gives the bytes
/// that the client gets.
///
/// # Panics
/// When it breaks off.
pub fn stream(reads: &[Bytes]) -> usize {
    let (order, hold) = order(&CHAT, 20);
    let mut course = Course::new(&CHAT, order.to_ask.connection.clone(), true);
    let mut sent = 0;
    for read in reads {
        course.take(read.clone()).expect("a stream that goes on");
        sent += course.out().map_or(0, |out| out.len());
    }
    let went = Went {
        served_model: course.model.as_deref(),
        provider_request_id: course.id.as_deref(),
        told: course.told,
        delivered: course.delivered,
        status: UsageStatus::Success,
        error: None,
        first_byte: None,
    };
    let record = order.record(&went, order.arrived).expect("every usage is rated");
    sent + course.tail(priced(&order, &record.usage, record.source, record.charge.min(hold))).len()
}

fn priced<'a>(order: &Order, usage: &'a schemas::rate::Usage, source: UsageSource, charged: Nanocredits) -> Cost<'a> {
    Cost { words: order.route.words(), usage, source, charged }
}
